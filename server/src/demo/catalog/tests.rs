//! What the shipped catalogue makes of the demo platform, against expectations written by hand: the layout of the wire
//! contract 8.4, and counts by SQL kept here, none of them taken from the catalogue.

use std::collections::BTreeSet;
use std::io::{Read, Seek};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use archive::catalogue::{Catalogue, Sensitivity};
use archive::source::Sources;
use archive::write::{ExportError, Identity, Order};
use rusqlite::Connection;
use serde_json::Value;
use wire::DataFormat;

use super::*;
use crate::demo::platform::{Plan, write_postgres, write_sqlite};

const ANNA: &str = "1001";
const BEN: &str = "1002";
const CLARA: &str = "1003";

/// A platform and the catalogue that reads it.
struct House {
    dir: tempfile::TempDir,
    catalogue: Arc<Catalogue>,
    sources: Sources,
}

fn plan() -> Plan {
    Plan { heavy_rows: 8_000, ..Plan::default() }
}

async fn house() -> House {
    let dir = tempfile::tempdir().unwrap();
    write_sqlite(&dir.path().join("clips.db"), &plan(), &|_, _| ()).unwrap();
    furnish(dir, |dir| write_catalog(&dir.join("catalog"), Source::Sqlite(&dir.join("clips.db")))).await
}

async fn furnish(dir: tempfile::TempDir, catalog: impl FnOnce(&Path) -> Result<PathBuf>) -> House {
    let path = catalog(dir.path()).unwrap();
    let catalogue = Catalogue::load(&path).unwrap_or_else(|error| panic!("{error}"));
    let sources = Sources::open(&catalogue, path.parent().unwrap()).await.unwrap();
    House { dir, catalogue: Arc::new(catalogue), sources }
}

impl House {
    async fn archive(&self, subject: &str, categories: &[&str], format: DataFormat) -> Vec<u8> {
        self.try_archive(subject, categories, format).await.unwrap_or_else(|error| panic!("{error}"))
    }

    async fn try_archive(
        &self,
        subject: &str,
        categories: &[&str],
        format: DataFormat,
    ) -> std::result::Result<Vec<u8>, ExportError> {
        let mut file = tempfile::tempfile().unwrap();
        let order = Order {
            subject: subject.to_owned(),
            categories: categories.iter().map(|name| (*name).to_owned()).collect(),
            format: format.into(),
            at: "2026-11-22T12:00:00Z".parse().unwrap(),
            since: None,
            until: None,
            identity: Identity::default(),
            level: 1,
            documents: None,
        };
        let copy = file.try_clone().unwrap();
        let (progress, cancel) = (Arc::default(), tokio_util::sync::CancellationToken::new());
        archive::write::write(self.catalogue.clone(), &self.sources, order, copy, progress, cancel).await?;
        let mut bytes = Vec::new();
        file.rewind().unwrap();
        file.read_to_end(&mut bytes).unwrap();
        Ok(bytes)
    }

    async fn members(&self, subject: &str, categories: &[&str], format: DataFormat) -> Vec<(String, String)> {
        let bytes = self.archive(subject, categories, format).await;
        let mut zip = zip::ZipArchive::new(std::io::Cursor::new(bytes)).unwrap();
        (0..zip.len())
            .map(|at| {
                let mut member = zip.by_index(at).unwrap();
                let mut text = String::new();
                member.read_to_string(&mut text).unwrap();
                (member.name().unwrap().into_owned(), text)
            })
            .collect()
    }

    async fn document(&self, subject: &str, categories: &[&str]) -> Value {
        let members = self.members(subject, categories, DataFormat::Json).await;
        assert_eq!(members.len(), 1);
        assert_eq!(members[0].0, "user_data_tiktok.json");
        serde_json::from_str(&members[0].1).unwrap()
    }

    fn db(&self) -> Connection {
        Connection::open(self.dir.path().join("clips.db")).unwrap()
    }
}

fn at<'v>(document: &'v Value, path: &str) -> &'v Value {
    path.split(" / ").fold(document, |value, key| value.get(key).unwrap_or_else(|| panic!("{path}: no {key}")))
}

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

#[tokio::test]
async fn an_empty_account_has_every_section_with_its_own_kind_of_nothing() {
    let golden: Value = serde_json::from_str(include_str!("empty.json")).unwrap();
    let document = house().await.document(BEN, &["all_data"]).await;
    // Compared as text, so that the order of keys counts.
    assert_eq!(format!("{document:#}"), format!("{golden:#}"));
}

/// Where a list stands, the fields of an item in their order, and how many rows a person has of it.
const LISTS: &[(&str, &str, &str)] = &[
    (
        "Comment / Comments / CommentsList",
        "date, comment, photo, video, sticker, originalPostUrl, original post link",
        "select count(*) from comments where user_id = ?",
    ),
    (
        "Direct Message / Direct Messages / ChatHistory / *",
        "Date, From, Content",
        "select count(*) from direct_messages where chat_id in (select m.chat_id from chat_members m join chats c on c.id = m.chat_id
           where m.user_id = ? and c.kind = 'direct')",
    ),
    (
        "Direct Message / Group Chat / GroupChat / *",
        "Date, From, Content",
        "select count(*) from direct_messages where chat_id in (select m.chat_id from chat_members m join chats c on c.id = m.chat_id
           where m.user_id = ? and c.kind = 'group')",
    ),
    (
        "Direct Message / Tako Chat History / TakoChatHistoryList",
        "Chat Title, Messages",
        "select count(*) from tako_chats where user_id = ?",
    ),
    (
        "Income+ Wallet / Coin Purchase History / CoinPurchaseHistoryList",
        "Date, Type, CoinAmount",
        "select count(*) from coin_purchases where user_id = ?",
    ),
    (
        "Income+ Wallet / Transaction History / TransactionsList",
        "Date, Type, Currency, Amount, Status, Id, Others",
        "select count(*) from transactions where user_id = ?",
    ),
    (
        "Likes and Favorites / Favorite Collection / FavoriteCollectionList",
        "Date, FavoriteCollection",
        "select count(*) from favorites where kind = 'collection' and user_id = ?",
    ),
    (
        "Likes and Favorites / Favorite Effects / FavoriteEffectsList",
        "Date, EffectLink",
        "select count(*) from favorites where kind = 'effect' and user_id = ?",
    ),
    (
        "Likes and Favorites / Favorite Hashtags / FavoriteHashtagList",
        "Date, Link",
        "select count(*) from favorites where kind = 'hashtag' and user_id = ?",
    ),
    (
        "Likes and Favorites / Favorite Sounds / FavoriteSoundList",
        "Date, Link",
        "select count(*) from favorites where kind = 'sound' and user_id = ?",
    ),
    (
        "Likes and Favorites / Favorite Videos / FavoriteVideoList",
        "Date, Link",
        "select count(*) from favorite_videos where user_id = ?",
    ),
    ("Likes and Favorites / Like List / ItemFavoriteList", "date, link", "select count(*) from likes where user_id = ?"),
    (
        "Location Review / Location Reviews / ReviewsList",
        "PlaceName, Date, Rating, Status, Likes, ReviewText",
        "select count(*) from place_reviews where user_id = ?",
    ),
    (
        "Post / Posts / VideoList",
        "Date, Link, Likes, WhoCanView, AllowComments, AllowStitches, AllowDuets, AllowStickers, AllowSharingToStory, \
         ContentDisclosure, AIGeneratedContent, Sound, Location, Title, AddYoursText, AlternateText, CoverImage, NumberOfCollections",
        "select count(*) from videos where deleted_at is null and author_id = ?",
    ),
    (
        "Post / Recently Deleted Posts / PostList",
        "Date, Link, Likes, WhoCanView, AllowComments, AllowStitches, AllowDuets, AllowStickers, AllowSharingToStory, \
         ContentDisclosure, AIGeneratedContent, Sound, Location, Title, AddYoursText, AlternateText, CoverImage, NumberOfCollections, \
         DateDeleted",
        "select count(*) from videos where deleted_at is not null and author_id = ?",
    ),
    (
        "Profile And Settings / Block List / BlockList",
        "Date, UserName",
        "select count(*) from blocks where user_id = ?",
    ),
    (
        "Profile And Settings / Follower / FansList",
        "Date, UserName",
        "select count(*) from follows where followee_id = ?",
    ),
    (
        "Profile And Settings / Following / Following",
        "Date, UserName",
        "select count(*) from follows where follower_id = ?",
    ),
    (
        "Profile And Settings / Off TikTok Activity / OffTikTokActivityDataList",
        "TimeStamp, Source, Event",
        "select count(*) from off_platform_events where user_id = ?",
    ),
    (
        "Profile And Settings / ProfileViews / ProfileViewList",
        "Date, Username",
        "select count(*) from profile_views where user_id = ?",
    ),
    (
        "TikTok Live / Go Live History / GoLiveList",
        "LiveStartTime, LiveEndTime, LiveDuration, RoomId, RoomTitle, CoverUri, ReplayUrl, TotalEarning, TotalLike, TotalView, \
         TotalGifter, QualitySetting, MutedList",
        "select count(*) from live_rooms where user_id = ?",
    ),
    (
        "TikTok Live / Watch Live History / WatchLiveMap / {}",
        "Comments, Questions, WatchTime, Link",
        "select count(*) from live_views where user_id = ?",
    ),
    (
        "TikTok Shop / Communication With Shops / CommunicationHistories / *",
        "send_time, shop_name, direction, content",
        "select count(*) from shop_messages where user_id = ?",
    ),
    (
        "TikTok Shop / Order History / OrderHistories / {}",
        "order_date, products, total_price, order_status",
        "select count(*) from shop_orders where user_id = ?",
    ),
    (
        "TikTok Shop / Product Browsing History / ProductBrowsingHistories",
        "browsing_date, shop_name, product_name",
        "select count(*) from shop_views where user_id = ?",
    ),
    (
        "TikTok Shop / Saved Address Information / SavedAddress",
        "receiver_name, masked_phone_number, adress_info",
        "select count(*) from shop_addresses where user_id = ?",
    ),
    (
        "TikTok Shop / Shopping Cart List / ShoppingCart",
        "CreateTime, SkuCount, ShopName, ProductName",
        "select count(*) from shop_cart where user_id = ?",
    ),
    (
        "TikTok Shop / TikTokFavoriteItem / TikTokFavoriteItemResult / TikTokFavoriteItemList",
        "Product, Shop, Time",
        "select count(*) from shop_favorites where user_id = ?",
    ),
    (
        "TikTok Shop / Vouchers / Vouchers",
        "ReceivedDate, VoucherId, VoucherName, VoucherText, Status",
        "select count(*) from shop_vouchers where user_id = ?",
    ),
    (
        "Your Activity / Ads Visit History / AdsVisitHistoryList",
        "CreateTime, AdTitle, AdLink",
        "select count(*) from ad_visits where user_id = ?",
    ),
    (
        "Your Activity / Hashtag / HashtagList",
        "HashtagName, HashtagLink",
        "select count(*) from hashtags where user_id = ?",
    ),
    (
        "Your Activity / Login History / LoginHistoryList",
        "Date, IP, DeviceModel, DeviceSystem, NetworkType, Carrier",
        "select count(*) from logins where user_id = ?",
    ),
    (
        "Your Activity / Off TikTok Activity / OffTikTokActivityDataList",
        "TimeStamp, Source, Event",
        "select count(*) from off_platform_events where user_id = ?",
    ),
    (
        "Your Activity / Purchases / SendGifts / SendGifts",
        "Date, GiftAmount, UserName",
        "select count(*) from gifts where user_id = ?",
    ),
    (
        "Your Activity / Purchases / BuyGifts / BuyGifts",
        "Date, Price",
        "select count(*) from coin_purchases where user_id = ?",
    ),
    ("Your Activity / Reposts / RepostList", "Date, Link", "select count(*) from reposts where user_id = ?"),
    ("Your Activity / Searches / SearchList", "Date, SearchTerm", "select count(*) from searches where user_id = ?"),
    (
        "Your Activity / Share History / ShareHistoryList",
        "Date, SharedContent, Link, Method",
        "select count(*) from shares where user_id = ?",
    ),
    (
        "Your Activity / Status / Status List",
        "Resolution, App Version, IDFA, GAID, Android ID, IDFV, UID, DID, Web ID",
        "select count(*) from devices where user_id = ?",
    ),
    ("Your Activity / Watch History / VideoList", "Date, Link, Title", "select count(*) from watch_history where user_id = ?"),
];

/// The items of a list, of all lists in a map of lists (`*`), or of a map (`{}`).
fn items<'v>(document: &'v Value, path: &str) -> Vec<&'v Value> {
    if let Some(path) = path.strip_suffix(" / *") {
        at(document, path).as_object().unwrap().values().flat_map(|list| list.as_array().unwrap()).collect()
    } else if let Some(path) = path.strip_suffix(" / {}") {
        at(document, path).as_object().unwrap().values().collect()
    } else {
        at(document, path).as_array().unwrap_or_else(|| panic!("{path} is no list")).iter().collect()
    }
}

#[tokio::test]
async fn every_list_has_the_fields_of_the_layout_and_the_rows_of_the_database() {
    let house = house().await;
    let db = house.db();
    for person in [ANNA, CLARA] {
        let document = house.document(person, &["all_data"]).await;
        for (path, fields, sql) in LISTS {
            let counted: i64 = db.query_row(sql, [person.parse::<i64>().unwrap()], |row| row.get(0)).unwrap();
            if person == CLARA && counted == 0 {
                continue;
            }
            let items = items(&document, path);
            assert!(counted > 0, "{path} has nothing to show");
            assert_eq!(items.len() as i64, counted, "{path} of {person}");
            for item in items {
                assert_eq!(keys(item).join(", "), *fields, "{path}");
            }
        }
    }
}

#[tokio::test]
async fn the_single_values_are_those_of_the_layout() {
    let document = house().await.document(ANNA, &["all_data"]).await;
    let golden: Value = serde_json::from_str(include_str!("empty.json")).unwrap();
    assert_eq!(keys(&document), keys(&golden));
    for (root, sections) in golden.as_object().unwrap() {
        assert_eq!(keys(&document[root]), keys(sections), "{root}");
        for (section, inner) in sections.as_object().unwrap() {
            if !inner.as_object().unwrap().is_empty() {
                assert_eq!(keys(&document[root][section]), keys(inner), "{root} / {section}");
            }
        }
    }
    for path in [
        "Profile And Settings / Profile Info / ProfileMap",
        "Profile And Settings / Autofill",
        "Profile And Settings / Settings / SettingsMap",
        "TikTok Live / Go Live Settings / SettingsMap",
        "Your Activity / Activity Summary / ActivitySummaryMap",
    ] {
        assert_eq!(keys(at(&document, path)), keys(at(&golden, path)), "{path}");
        assert_ne!(at(&document, path), at(&golden, path), "{path} shows nothing but defaults");
    }
    assert_eq!(keys(at(&document, "Profile And Settings / Settings / SettingsMap")).len(), 25);
    assert_eq!(keys(at(&document, "TikTok Live / Go Live Settings / SettingsMap")).len(), 11);
    let profile = at(&document, "Profile And Settings / Profile Info / ProfileMap");
    assert_eq!(profile["birthDate"], "12-Apr-1996");
    assert_eq!(profile["followerCount"], 212);
    assert_eq!(profile["followingCount"], 147);
    assert_eq!(profile["likesReceived"], "2782");
    assert_eq!(keys(&profile["PlatformInfo"][0]), ["Description", "Name", "Platform", "Profile Photo"]);
    assert_eq!(
        keys(at(&document, "Your Activity / Most Recent Location Data / LocationData")),
        ["Date", "GpsData", "LastRegion"]
    );
    assert!(at(&document, "Your Activity / Ad Interests / AdInterestCategories").as_str().unwrap().contains(" | "));
    assert!(at(&document, "TikTok Live / Watch Live History / WatchLiveMap").get("-1").is_some());
    let chats = keys(at(&document, "Direct Message / Direct Messages / ChatHistory"));
    assert!(chats.contains(&"Chat History with clara:"), "{chats:?}");
}

/// Leaves are strings, but for those that the layout types: whatever kind of column they come from.
fn leaves<'v>(key: &'v str, value: &'v Value, seen: &mut BTreeSet<(String, &'static str)>) {
    let mut note = |kind| {
        seen.insert((key.to_owned(), kind));
    };
    match value {
        Value::String(_) => {}
        Value::Number(number) => note(if number.is_i64() { "integer" } else { "number" }),
        Value::Bool(_) => note("boolean"),
        Value::Null => note("null"),
        Value::Array(items) => items.iter().for_each(|item| leaves(key, item, seen)),
        Value::Object(map) => map.iter().for_each(|(key, value)| leaves(key, value, seen)),
    }
}

#[tokio::test]
async fn only_what_the_layout_types_is_no_string() {
    let document = house().await.document(ANNA, &["all_data"]).await;
    let mut seen = BTreeSet::new();
    leaves("", &document, &mut seen);
    let seen: Vec<String> = seen.iter().map(|(key, kind)| format!("{key}: {kind}")).collect();
    assert_eq!(
        seen,
        [
            "AIMojiList: null",
            "App: integer",
            "CoinAmount: integer",
            "CustomerSupportHistories: null",
            "DonationList: null",
            "FundraiserList: null",
            "IsFastLane: boolean",
            "OrderDisputeHistories: null",
            "PayCard: null",
            "ProductReviewHistories: null",
            "Questions: null",
            "RawTime: integer",
            "ResponsesList: null",
            "ReturnAndRefundHistories: null",
            "SkuCount: integer",
            "StickerList: null",
            "UID: integer",
            "followerCount: integer",
            "followingCount: integer",
            "videosCommentedOnSinceAccountRegistration: integer",
            "videosSharedSinceAccountRegistration: integer",
            "videosWatchedToTheEndSinceAccountRegistration: integer",
        ]
    );
}

#[tokio::test]
async fn values_are_the_rows_newest_first_and_times_are_utc_however_they_are_kept() {
    let house = house().await;
    let db = house.db();
    let document = house.document(ANNA, &["all_data"]).await;
    for (path, key, sql) in [
        (
            "Comment / Comments / CommentsList",
            "date",
            "select strftime('%Y-%m-%d %H:%M:%S UTC', commented_at / 1000, 'unixepoch') from comments where user_id = 1001 order by commented_at desc, id desc",
        ),
        (
            "Comment / Comments / CommentsList",
            "comment",
            "select words from comments where user_id = 1001 order by commented_at desc, id desc",
        ),
        (
            "Your Activity / Searches / SearchList",
            "SearchTerm",
            "select term from searches where user_id = 1001 order by searched_at desc, id desc",
        ),
        (
            "Your Activity / Login History / LoginHistoryList",
            "Date",
            "select strftime('%Y-%m-%d %H:%M:%S', at_seconds, 'unixepoch') from logins where user_id = 1001 order by at_seconds desc, id desc",
        ),
        (
            "Your Activity / Ads Visit History / AdsVisitHistoryList",
            "CreateTime",
            "select strftime('%Y-%m-%d %H:%M:%S', at_micros / 1000000, 'unixepoch') from ad_visits where user_id = 1001 order by at_micros desc",
        ),
        (
            "TikTok Shop / Product Browsing History / ProductBrowsingHistories",
            "browsing_date",
            "select replace(replace(viewed_at, 'T', ' '), 'Z', '') from shop_views where user_id = 1001 order by viewed_at desc, id desc",
        ),
        (
            "Your Activity / Watch History / VideoList",
            "Link",
            "select 'https://www.tiktokv.com/share/video/' || video_id || '/' from watch_history where user_id = 1001 order by watched_at desc, id desc",
        ),
        (
            "Post / Posts / VideoList",
            "AllowDuets",
            "select iif(allow_duets, 'Yes', 'No') from videos where author_id = 1001 and deleted_at is null order by created_at desc",
        ),
    ] {
        let expected: Vec<String> =
            db.prepare(sql).unwrap().query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
        let found: Vec<&str> = items(&document, path).iter().map(|item| item[key].as_str().unwrap()).collect();
        assert!(found == expected, "{path} {key}: {:?}", found.iter().zip(&expected).find(|(a, b)| a != b));
    }
}

#[tokio::test]
async fn each_category_takes_its_sections_and_no_other() {
    let house = house().await;
    let sections = |document: &Value| -> Vec<String> {
        let roots = document.as_object().unwrap().iter();
        roots.flat_map(|(root, inner)| keys(inner).into_iter().map(move |key| format!("{root} / {key}"))).collect()
    };
    let of = async |categories: &[&str]| sections(&house.document(ANNA, categories).await).join("\n");
    assert_eq!(
        of(&["activity"]).await,
        "Your Activity / Ad Interests\nYour Activity / Hashtag\nYour Activity / Login History\nYour Activity / Off TikTok Activity\n\
         Your Activity / Purchases\nYour Activity / Searches\nYour Activity / Share History\nYour Activity / Watch History"
    );
    assert_eq!(
        of(&["profile"]).await,
        "Profile And Settings / AI-Moji\nProfile And Settings / Autofill\nProfile And Settings / Follower\n\
         Profile And Settings / Following\nProfile And Settings / Profile Info"
    );
    assert_eq!(of(&["video"]).await, "Post / Posts\nPost / Recently Deleted Posts\nPost / Story");
    assert_eq!(
        of(&["direct_message"]).await,
        "Direct Message / Direct Messages\nDirect Message / Group Chat\nDirect Message / Tako Chat History"
    );
    assert_eq!(of(&["direct_messages"]).await, of(&["direct_message"]).await);
    let profile = house.document(ANNA, &["profile"]).await;
    assert_eq!(keys(at(&profile, "Profile And Settings / Follower")), ["App", "IsFastLane", "FansList"]);
    assert_eq!(of(&["profile", "all_data"]).await, of(&["all_data"]).await);
    let both = house.document(ANNA, &["video", "activity"]).await;
    assert_eq!(keys(&both), ["Post", "Your Activity"]);
}

#[tokio::test]
async fn categories_carry_the_scopes_of_the_wire_and_words_for_people() {
    let house = house().await;
    let scopes: Vec<_> =
        house.catalogue.categories().iter().map(|c| (c.name.as_str(), c.scope.as_str(), c.sensitivity)).collect();
    use Sensitivity::{Normal, Sensitive};
    assert_eq!(
        scopes,
        [
            ("activity", "portability.activity", Normal),
            ("video", "portability.postsandprofile", Normal),
            ("profile", "portability.postsandprofile", Normal),
            ("direct_message", "portability.directmessages", Sensitive),
            ("all_data", "portability.all", Sensitive),
        ]
    );
    assert_eq!(house.catalogue.edition, "2026-08-28");
    assert!(house.catalogue.sections().iter().all(|section| !section.categories.iter().any(|name| name == "all_data")));
    assert_eq!(house.sources.check(&house.catalogue).await, []);
}

#[tokio::test]
async fn the_same_plan_gives_the_same_archive_on_both_engines() {
    let here = house().await;
    let again = house().await;
    for format in [DataFormat::Json, DataFormat::Text] {
        let first = here.archive(ANNA, &["all_data"], format).await;
        assert!(first == again.archive(ANNA, &["all_data"], format).await, "two houses of one plan differ");
    }
    let Some(database) = testkit::postgres::database() else { return };
    write_postgres(database.url(), &plan(), &|_, _| ()).await.unwrap();
    let there = furnish(tempfile::tempdir().unwrap(), |dir| write_catalog(dir, Source::Postgres(database.url()))).await;
    assert_eq!(there.sources.check(&there.catalogue).await, []);
    for person in [ANNA, BEN, CLARA] {
        for format in [DataFormat::Json, DataFormat::Text] {
            let (one, other) =
                (here.archive(person, &["all_data"], format).await, there.archive(person, &["all_data"], format).await);
            assert!(one == other, "{person} {format:?} differs");
        }
    }
}

#[tokio::test]
async fn text_files_are_named_like_sections_and_special_ones_look_as_they_should() {
    let house = house().await;
    let members = house.members(ANNA, &["activity", "direct_message"], DataFormat::Text).await;
    let names: Vec<&str> = members.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        names,
        [
            "TikTok/Direct Message/Direct Messages.txt",
            "TikTok/Direct Message/Group Chat.txt",
            "TikTok/Direct Message/Tako Chat History.txt",
            "TikTok/Your Activity/Ad Interests.txt",
            "TikTok/Your Activity/Hashtag.txt",
            "TikTok/Your Activity/Login History.txt",
            "TikTok/Your Activity/Off TikTok Activity.txt",
            "TikTok/Your Activity/Purchases.txt",
            "TikTok/Your Activity/Searches.txt",
            "TikTok/Your Activity/Share History.txt",
            "TikTok/Your Activity/Watch History.txt",
        ]
    );
    let text = |name: &str| &members.iter().find(|(member, _)| member.ends_with(name)).unwrap().1;
    let chat = text("/Direct Messages.txt");
    let (_, after) = chat.split_once(">>> Chat History with clara::\n\n").unwrap();
    let line = after.lines().next().unwrap();
    let (date, rest) = line.split_at(24);
    assert!(date.ends_with(" UTC ") && (rest.starts_with("clara: ") || rest.starts_with("anna: ")), "{line}");
    let purchases = text("/Purchases.txt");
    assert!(purchases.starts_with("Send Gifts History:\n\nDate: "), "{purchases}");
    assert!(purchases.contains("\n\nBuy Gifts History:\n\nDate: "), "{purchases}");
    assert!(text("/Searches.txt").contains("\nSearch Term: "));
    assert!(text("/Login History.txt").contains("\nDevice Model: "));
    let empty = house.members(BEN, &["activity"], DataFormat::Text).await;
    let searches = &empty.iter().find(|(name, _)| name.ends_with("/Searches.txt")).unwrap().1;
    assert_eq!(searches, "Searches:\n\nYou have no data in this section\n");
    let all = house.members(BEN, &["all_data"], DataFormat::Text).await;
    assert!(
        all.iter().any(|(name, _)| name == "TikTok/Your Activity/Donation.txt"),
        "a section without a known shape has its file"
    );
}

#[tokio::test]
async fn a_join_that_lets_everybody_in_serves_nobody() {
    for (file, right) in [
        ("02-direct-message", "where mine.user_id = :subject"),
        ("07-profile-and-settings", "where f.followee_id = :subject"),
        ("10-your-activity", "where g.user_id = :subject"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        write_sqlite(&dir.path().join("clips.db"), &plan(), &|_, _| ()).unwrap();
        let house = furnish(dir, |dir| {
            let path = write_catalog(&dir.join("catalog"), Source::Sqlite(&dir.join("clips.db")))?;
            let section = dir.join(format!("catalog/sections/{file}.toml"));
            let text = std::fs::read_to_string(&section)?;
            let planted = text.replace(right, &format!("{right} or 1 = 1"));
            assert_ne!(text, planted);
            std::fs::write(&section, planted)?;
            Ok(path)
        })
        .await;
        let error = house.try_archive(ANNA, &["all_data"], DataFormat::Json).await.unwrap_err();
        assert_eq!((error.reason(), error.retryable()), ("owner_mismatch", false), "{file}: {error}");
    }
}

#[test]
fn a_catalogue_is_never_written_over_and_any_path_can_be_quoted() {
    let dir = tempfile::tempdir().unwrap();
    let path = write_catalog(dir.path(), Source::Sqlite(Path::new("a \"b\" \\ c\n.db"))).unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains(r#"url  = "sqlite:a \"b\" \\ c\n.db""#), "{text}");
    Catalogue::load(&path).unwrap_or_else(|error| panic!("{error}"));
    let error = write_catalog(dir.path(), Source::Postgres("postgres://db/x")).unwrap_err();
    assert!(format!("{error:#}").contains("cannot create"), "{error:#}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
    let other = tempfile::tempdir().unwrap();
    let path = write_catalog(other.path(), Source::Postgres("postgres://db/x")).unwrap();
    let text = std::fs::read_to_string(path).unwrap();
    assert!(text.contains("kind = \"postgres\"\nurl  = \"postgres://db/x\"\n"), "{text}");
}
