//! The tables of the platform, for both engines.
//!
//! Times are Unix milliseconds, but for a few that are not, as in any house that grew: `logins` counts seconds,
//! `ad_visits` microseconds, and `coin_purchases` and `shop_views` write ISO 8601.

use super::fill;
use super::world::World;

/// How a column is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The primary key, a 64-bit number.
    Id,
    Big,
    /// A 64-bit number or nothing.
    BigOrNull,
    Int,
    Flag,
    Text,
    /// Text or nothing.
    TextOrNull,
}

use Kind::{Big, BigOrNull, Flag, Id, Int, Text, TextOrNull};

/// One value of a row.
#[derive(Clone, Copy, Debug)]
pub(super) enum Value<'a> {
    Int(i64),
    Flag(bool),
    Text(&'a str),
    Null,
}

/// Where rows go: a database, or nowhere but a counter.
pub(super) trait Sink {
    fn row(&mut self, row: &[Value<'_>]) -> anyhow::Result<()>;
}

/// One table: its columns, what identifies a row besides an `Id` column, its indexes, and who makes its rows.
pub(super) struct Table {
    pub(super) name: &'static str,
    pub(super) columns: &'static [(&'static str, Kind)],
    pub(super) key: Option<&'static str>,
    pub(super) indexes: &'static [&'static str],
    pub(super) fill: fn(&World, &mut dyn Sink) -> anyhow::Result<()>,
}

/// The database a statement is written for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Engine {
    Sqlite,
    Postgres,
}

impl Table {
    pub(super) fn create(&self, engine: Engine) -> String {
        let mut lines: Vec<String> = self.columns.iter().map(|(name, kind)| format!("  {name} {}", kind.sql(engine))).collect();
        if let Some(key) = self.key {
            lines.push(format!("  primary key ({key})"));
        }
        format!("create table {} (\n{}\n)", self.name, lines.join(",\n"))
    }

    /// Indexes are made after the rows: sorting once is cheaper than inserting three million times. In SQLite every index
    /// ends with the row's id by itself; in PostgreSQL it is said, so that "newest first, then by id" needs no sorting.
    pub(super) fn create_indexes(&self, engine: Engine) -> Vec<String> {
        let id = if engine == Engine::Postgres && self.columns[0] == ("id", Id) { ", id" } else { "" };
        self.indexes
            .iter()
            .map(|columns| {
                let name = columns.replace(", ", "_");
                format!("create index {}_by_{name} on {} ({columns}{id})", self.name, self.name)
            })
            .collect()
    }

    pub(super) fn column_list(&self) -> String {
        let names: Vec<&str> = self.columns.iter().map(|(name, _)| *name).collect();
        names.join(", ")
    }
}

impl Kind {
    fn sql(self, engine: Engine) -> &'static str {
        match (self, engine) {
            (Id, Engine::Sqlite) => "integer primary key",
            (Id, Engine::Postgres) => "bigint primary key",
            (Big, _) => "bigint not null",
            (BigOrNull, _) => "bigint",
            (Int, _) => "integer not null",
            (Flag, _) => "boolean not null",
            (Text, _) => "text not null",
            (TextOrNull, _) => "text",
        }
    }
}

macro_rules! table {
    ($name:ident in $room:ident ($($column:ident $kind:ident),* $(,)?) $(key $key:literal)? $(index $index:literal)*) => {
        Table {
            name: stringify!($name),
            columns: &[$((stringify!($column), $kind)),*],
            key: table!(@key $($key)?),
            indexes: &[$($index),*],
            fill: fill::$room::$name,
        }
    };
    (@key) => { None };
    (@key $key:literal) => { Some($key) };
}

/// Every table, in the order in which they are filled.
pub(super) const TABLES: &[Table] = &[
    table!(users in account (id Id, username Text, display_name Text, email Text, region Text, birth_date Text, verified Flag, created_at Big)
        index "username"),
    table!(profiles in account (user_id Id, bio Text, phone TextOrNull, photo Text, video TextOrNull, instagram Text, youtube Text,
        lemon8 Text, gender TextOrNull, likes_received Big, ai_self Text, ad_interests Text, ai_moji_created TextOrNull, linked_platforms Text)),
    table!(autofill in account (user_id Id, phone TextOrNull, email TextOrNull, first_name TextOrNull, last_name TextOrNull,
        address TextOrNull, zip_code TextOrNull, unit TextOrNull, city TextOrNull, state TextOrNull, country TextOrNull)),
    table!(settings in account (user_id Id, allow_download Text, findable Text, reuse Text, app_language Text, web_language Text,
        autofill_contact Text, autofill_payment Text, content_preferences Text, family_preferences Text, family_pairing Text,
        filter_comments Text, interests Text, personalized_ads Text, private_account Text, push Text, screen_time Text,
        suggest_facebook Text, suggest_contacts Text, suggest_links Text, duet Text, comment Text, message Text, stitch Text,
        liked_videos Text, following_list Text)),
    table!(live_settings in account (user_id Id, agencies Text, cohost_invites Text, comments Text, suggested_hosts Text, guest_requests Text,
        questions Text, gifts Text, hidden_keywords Text, hide_spam Text, moderators TextOrNull, ranking_lists Text,
        watch_app Text, watch_web Text, changed_in_app Text, changed_in_web Text)),
    table!(activity_summaries in account (user_id Id, commented Big, shared Big, watched_to_end Big)),
    table!(locations in account (user_id Id, seen_at Big, gps Text, last_region Text)),
    table!(devices in account (id Id, user_id Big, seen_at Big, resolution Text, app_version Text, idfa Text, gaid Text, android_id Text,
        idfv Text, did Text, web_id Text)
        index "user_id, seen_at"),
    table!(logins in account (id Id, user_id Big, at_seconds Big, ip Text, device_model Text, device_system Text, network_type Text, carrier Text)
        index "user_id, at_seconds"),
    table!(videos in content (id Id, author_id Big, created_at Big, deleted_at BigOrNull, title Text, likes Int, collections Int, who_can_view Text,
        allow_comments Flag, allow_stitches Flag, allow_duets Flag, allow_stickers Flag, allow_story Flag, disclosed Flag,
        ai_generated Flag, sound Text, location Text, add_yours Text, alternate_text Text, cover Text)
        index "author_id, created_at"),
    table!(watch_history in content (id Id, user_id Big, video_id Big, watched_at Big, title Text)
        index "user_id, watched_at"),
    table!(likes in content (id Id, user_id Big, video_id Big, liked_at Big)
        index "user_id, liked_at"),
    table!(favorite_videos in content (id Id, user_id Big, video_id Big, saved_at Big)
        index "user_id, saved_at"),
    table!(favorites in content (id Id, user_id Big, kind Text, target Text, saved_at Big)
        index "user_id, kind, saved_at"),
    table!(comments in content (id Id, user_id Big, video_id Big, commented_at Big, words Text, photo TextOrNull, video TextOrNull, sticker TextOrNull)
        index "user_id, commented_at"),
    table!(reposts in content (id Id, user_id Big, video_id Big, reposted_at Big)
        index "user_id, reposted_at"),
    table!(shares in content (id Id, user_id Big, shared_at Big, what Text, link Text, method Text)
        index "user_id, shared_at"),
    table!(searches in content (id Id, user_id Big, searched_at Big, term Text)
        index "user_id, searched_at"),
    table!(hashtags in content (id Id, user_id Big, used_at Big, name Text)
        index "user_id, used_at"),
    table!(place_reviews in content (id Id, user_id Big, created_at Big, place Text, rating Int, status Text, likes Int, words Text)
        index "user_id, created_at"),
    table!(off_platform_events in content (id Id, user_id Big, at Big, source Text, event Text)
        index "user_id, at"),
    table!(ad_visits in content (id Id, user_id Big, at_micros Big, title Text, link Text)
        index "user_id, at_micros"),
    table!(follows in social (follower_id Big, followee_id Big, followed_at Big)
        key "follower_id, followee_id" index "follower_id, followed_at, followee_id" index "followee_id, followed_at, follower_id"),
    table!(blocks in social (user_id Big, blocked_id Big, blocked_at Big)
        key "user_id, blocked_id" index "user_id, blocked_at, blocked_id"),
    table!(profile_views in social (id Id, user_id Big, viewer_id Big, viewed_at Big)
        index "user_id, viewed_at"),
    table!(chats in social (id Id, kind Text, title Text)),
    table!(chat_members in social (user_id Big, chat_id Big)
        key "user_id, chat_id" index "chat_id"),
    table!(direct_messages in social (id Id, chat_id Big, sender_id Big, sent_at Big, content Text)
        index "chat_id, sent_at"),
    table!(tako_chats in social (id Id, user_id Big, started_at Big, title Text, messages Text)
        index "user_id, started_at"),
    table!(gifts in money (id Id, user_id Big, recipient_id Big, sent_at Big, coins Int)
        index "user_id, sent_at"),
    table!(coin_purchases in money (id Id, user_id Big, bought_at Text, kind Text, coins Int, price Text)
        index "user_id, bought_at"),
    table!(transactions in money (id Id, user_id Big, at Big, kind Text, currency Text, amount Text, status Text, reference Text, others Text)
        index "user_id, at"),
    table!(live_rooms in money (id Id, user_id Big, started_at Big, ended_at Big, duration Text, title Text, cover Text, replay Text, earning Text,
        likes Int, views Int, gifters Int, quality Text, muted Text)
        index "user_id, started_at"),
    table!(live_views in money (id Id, user_id Big, room_id Big, watched_at Big, comments Text, questions TextOrNull)
        index "user_id, watched_at"),
    table!(shops in money (id Id, name Text)),
    table!(shop_messages in money (id Id, user_id Big, shop_id Big, sent_at Big, from_shop Flag, content Text)
        index "user_id, shop_id, sent_at"),
    table!(shop_orders in money (id Id, user_id Big, ordered_at Big, products Text, total Text, status Text)
        index "user_id, ordered_at"),
    table!(shop_views in money (id Id, user_id Big, viewed_at Text, shop_id Big, product Text)
        index "user_id, viewed_at"),
    table!(shop_addresses in money (id Id, user_id Big, receiver Text, phone Text, address Text)
        index "user_id"),
    table!(shop_cart in money (id Id, user_id Big, added_at Big, sku_count Int, shop_id Big, product Text)
        index "user_id, added_at"),
    table!(shop_favorites in money (id Id, user_id Big, saved_at Big, shop_id Big, product Text)
        index "user_id, saved_at"),
    table!(shop_vouchers in money (id Id, user_id Big, received_at Big, name Text, words Text, status Text)
        index "user_id, received_at"),
];
