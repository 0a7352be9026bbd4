//! Who lives on the demo platform: the cast that signs in, and how much each of them has done.

use super::Plan;
use super::draw::Dice;

/// How much a demo person has left behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Size {
    /// A registered account that was never used.
    Empty,
    /// About what one real account holds.
    Typical,
    /// As many rows as the plan's `heavy_rows` says.
    Heavy,
}

impl Size {
    /// The word used on the wire of `portward dev --json`.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Size::Empty => "empty",
            Size::Typical => "typical",
            Size::Heavy => "heavy",
        }
    }
}

/// One person of the demo platform who can sign in, with what a profile page shows of them.
#[derive(Clone, Debug)]
pub(crate) struct DemoPerson {
    /// The name to sign in with.
    pub(crate) username: String,
    /// The name shown.
    pub(crate) display_name: String,
    /// The id in the platform's `users` table, as a subject.
    pub(crate) subject: String,
    /// ISO 3166 code of the country the account belongs to.
    pub(crate) region: &'static str,
    /// How much there is to export.
    pub(crate) size: Size,
    /// The words under the name; may be empty.
    pub(crate) bio: String,
    /// Path of the picture below the platform's own host; [`avatar_svg`] draws it.
    pub(crate) avatar: String,
    /// Whether the platform has verified the account.
    pub(crate) verified: bool,
    /// How many follow this person.
    pub(crate) followers: u64,
    /// How many this person follows.
    pub(crate) following: u64,
    /// Likes received on all posts.
    pub(crate) likes: u64,
    /// Posts that are still up.
    pub(crate) videos: u64,
    /// Rows of all tables together.
    pub(crate) rows: u64,
}

/// Everybody who can sign in: eligible people first, at least one of each size, those outside EEA and UK last.
pub(crate) fn people(plan: &Plan) -> Vec<DemoPerson> {
    cast(plan)
        .into_iter()
        .map(|person| DemoPerson {
            avatar: format!("/avatars/{}.svg", person.username),
            subject: person.id.to_string(),
            verified: person.verified(),
            followers: person.rows.followers,
            following: person.rows.following,
            likes: person.likes_received(),
            videos: person.rows.posts,
            rows: person.rows.total(),
            username: person.username,
            display_name: person.display_name,
            region: person.region,
            size: person.size,
            bio: person.bio,
        })
        .collect()
}

/// A round picture with initials, its colour taken from the name: the demo needs no files.
pub(crate) fn avatar_svg(username: &str) -> String {
    let hue = username.bytes().fold(7u32, |sum, byte| (sum * 31 + u32::from(byte)) % 360);
    let initial = username.chars().find(|c| c.is_ascii_alphanumeric()).unwrap_or('?').to_ascii_uppercase();
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 96 96\" role=\"img\" aria-label=\"{initial}\">\
         <circle cx=\"48\" cy=\"48\" r=\"48\" fill=\"hsl({hue} 55% 42%)\"/>\
         <text x=\"48\" y=\"64\" text-anchor=\"middle\" font-family=\"sans-serif\" font-size=\"44\" fill=\"#fff\">{initial}</text></svg>"
    )
}

/// Someone of the cast, with the number of rows of each table that are theirs.
pub(super) struct Person {
    pub(super) id: i64,
    pub(super) username: String,
    pub(super) display_name: String,
    pub(super) region: &'static str,
    pub(super) birth_date: &'static str,
    pub(super) phone: &'static str,
    pub(super) bio: String,
    pub(super) size: Size,
    pub(super) rows: Volumes,
}

impl Person {
    pub(super) fn verified(&self) -> bool {
        self.size == Size::Heavy
    }

    pub(super) fn likes_received(&self) -> u64 {
        self.rows.posts * 37 + self.rows.followers * 3
    }
}

macro_rules! volumes {
    ($($table:ident $typical:literal $most:literal)*) => {
        /// Rows of one person, by table.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) struct Volumes { $(pub(super) $table: u64),* }

        impl Volumes {
            pub(super) const NONE: Volumes = Volumes { $($table: 0),* };
            pub(super) const TYPICAL: Volumes = Volumes { $($table: $typical),* };

            pub(super) fn total(&self) -> u64 { 0 $(+ self.$table)* }

            /// The same ratios at another size, up to what one account can hold of each.
            fn scaled(&self, by: u64, of: u64) -> Volumes {
                Volumes { $($table: (u128::from(self.$table) * u128::from(by) / u128::from(of)).min($most) as u64),* }
            }
        }
    };
}

// What one real account held: watch history, likes, favourites, logins, searches, following and comments are counts from
// the field; the rest is set beside them by eye. The last column is the most that one account can have: ten thousand
// follows is the platform's own limit, and nobody has a thousand shop addresses.
volumes! {
    watch_history 9339 1_000_000_000
    likes 3491 1_000_000_000
    favorite_videos 1843 1_000_000_000
    direct_messages 1260 1_000_000_000
    logins 345 1_000_000_000
    followers 212 10_000
    group_messages 180 100_000
    following 147 10_000
    searches 134 1_000_000_000
    profile_views 118 100_000
    comments 95 1_000_000_000
    shares 88 1_000_000_000
    off_platform_events 73 100_000
    shop_views 72 10_000
    ad_visits 64 100_000
    favorite_sounds 61 10_000
    posts 58 3_000
    live_views 41 5_000
    reposts 37 10_000
    shop_messages 26 1_000
    favorite_effects 23 1_000
    hashtags 21 400
    gifts 17 1_000
    favorite_hashtags 14 400
    shop_orders 14 500
    coin_purchases 12 500
    transactions 9 300
    shop_favorites 8 200
    shop_vouchers 7 100
    live_rooms 7 300
    deleted_posts 6 100
    shop_cart 6 60
    tako_chats 6 60
    place_reviews 5 200
    blocks 5 200
    favorite_collections 4 40
    devices 3 8
    shop_addresses 2 5
}

impl Volumes {
    /// Exactly `rows` in all: the usual ratios, and watch history takes what is left.
    fn heavy(rows: u64) -> Volumes {
        let mut heavy = Volumes::TYPICAL.scaled(rows, Volumes::TYPICAL.total());
        heavy.watch_history = 0;
        heavy.watch_history = rows.saturating_sub(heavy.total());
        heavy
    }
}

/// The two of the cast who know each other. Their follows and their chat are theirs both.
pub(super) const FRIENDS: (i64, i64) = (1001, 1003);

pub(super) fn friend(id: i64) -> Option<i64> {
    match id {
        id if id == FRIENDS.0 => Some(FRIENDS.1),
        id if id == FRIENDS.1 => Some(FRIENDS.0),
        _ => None,
    }
}

pub(super) fn cast(plan: &Plan) -> Vec<Person> {
    let named = |id, username: &str, display_name: &str, region, birth_date, phone, bio: &str, size| Person {
        id,
        username: username.to_owned(),
        display_name: display_name.to_owned(),
        region,
        birth_date,
        phone,
        bio: bio.to_owned(),
        size,
        rows: match size {
            Size::Empty => Volumes::NONE,
            Size::Typical => Volumes::TYPICAL,
            Size::Heavy => Volumes::heavy(plan.heavy_rows),
        },
    };
    use Size::{Empty, Heavy, Typical};
    let mut cast = vec![
        named(
            1001,
            "anna",
            "Anna Lindner 🎻",
            "DE",
            "1996-04-12",
            "+49 30 23125 041",
            "Viola, bikes & \"bad\" puns.\nBerlin ⇄ Wien 👩🏽‍💻",
            Typical,
        ),
        named(1002, "ben", "Ben Moreau", "FR", "2001-02-28", "", "", Empty),
        named(
            1003,
            "clara",
            "Clara Whitfield",
            "GB",
            "1988-02-29",
            "+44 7700 900 417",
            "I watch everything so that you don't have to.",
            Heavy,
        ),
    ];
    for nth in 0..plan.people.saturating_sub(NAMED) {
        cast.push(extra(plan, nth));
    }
    cast.push(named(
        1004,
        "diego",
        "Diego Nascimento",
        "BR",
        "1999-11-30",
        "+55 11 5550 0142",
        "São Paulo. Café, vôlei e gatos.",
        Typical,
    ));
    cast.push(named(
        1005,
        "ethan",
        "Ethan Brooks",
        "US",
        "2003-07-04",
        "+1 202 555 0147",
        "just here for the woodworking",
        Typical,
    ));
    cast
}

/// How many people have names of their own; a plan that asks for fewer still gets them.
pub(super) const NAMED: u32 = 5;

const FIRST: &[&str] = &[
    "Mila",
    "Jonas",
    "Élodie",
    "Łukasz",
    "Sofía",
    "Matteo",
    "Freya",
    "Ioana",
    "Niamh",
    "Ondřej",
    "Katarína",
    "Ville",
    "Eleni",
    "Luís",
    "Zsófia",
    "Kristjan",
    "Māra",
    "Šarūnas",
    "Ana",
    "Guðrún",
];
const LAST: &[&str] = &[
    "Novak",
    "Berg",
    "Dupont",
    "Kowalska",
    "García",
    "Ricci",
    "Lund",
    "Popescu",
    "Byrne",
    "Svoboda",
    "Horváth",
    "Virtanen",
    "Papadaki",
    "Sousa",
    "Nagy",
    "Tamm",
    "Ozola",
    "Kazlauskas",
    "Marić",
    "Jónsdóttir",
];
const REGIONS: &[&str] = &[
    "SI", "DE", "FR", "PL", "ES", "IT", "SE", "RO", "IE", "CZ", "SK", "FI", "GR", "PT", "HU", "EE", "LV", "LT", "HR", "IS", "GB",
    "NL", "BE", "NO",
];

/// One more eligible person: some small, some nearly typical.
fn extra(plan: &Plan, nth: u32) -> Person {
    let id = 2001 + i64::from(nth);
    let mut dice = Dice::new(plan.seed, id, "cast");
    let (first, last) = (dice.pick(FIRST), dice.pick(LAST));
    let percent = 2 + dice.below(90);
    Person {
        id,
        username: format!("demo{id}"),
        display_name: format!("{first} {last}"),
        region: dice.pick(REGIONS),
        birth_date: dice.pick(&["1971-01-01", "1984-12-31", "1990-06-15", "1992-02-29", "2000-03-26", "2005-10-30"]),
        phone: "",
        bio: format!("{first} was here"),
        size: Size::Typical,
        rows: Volumes::TYPICAL.scaled(percent, 100),
    }
}
