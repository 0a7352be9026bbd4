//! What the made-up applicants write.

/// A made-up app with its application.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wish {
    /// The app's name.
    pub(super) app: &'static str,
    /// One line for people.
    pub(super) description: &'static str,
    /// One of the operator's categories.
    pub(super) category: &'static str,
    /// Its picture.
    pub(super) icon: &'static [u8],
    /// Who applies.
    pub(super) applicant: &'static str,
    /// The local part of their address.
    pub(super) address: &'static str,
    /// The families it asks for.
    pub(super) families: &'static [&'static str],
    /// What it does with them.
    pub(super) use_case: &'static str,
}

pub(super) const RING: &[u8] = include_bytes!("icon-ring.png");
pub(super) const PLAY: &[u8] = include_bytes!("icon-play.png");
pub(super) const BARS: &[u8] = include_bytes!("icon-bars.png");
pub(super) const BOX: &[u8] = include_bytes!("icon-box.png");
pub(super) const MOCKUPS: &[u8] = include_bytes!("mockups.pdf");
pub(super) const POLICY: &[u8] = include_bytes!("policy.pdf");

pub(super) const ACTIVITY: &str = "portability.activity";
pub(super) const POSTS: &str = "portability.postsandprofile";
pub(super) const MESSAGES: &str = "portability.directmessages";
pub(super) const ALL: &str = "portability.all";

/// How requests of people are answered, in every application.
pub(super) const REQUESTS: &str = "People write to privacy@ our domain or press “Your data” in the settings of the app. Access and correction are answered within a week, deletion \
is done within 24 hours and confirmed by mail. Each person sees a list of every copy that was received from the platform, with its date, size and what was in it.";
/// How data is protected, in every application.
pub(super) const PROTECTION: &str = "Archives are read on servers in the European Union, encrypted at rest with keys that only the service holds, and deleted as soon as what the person \
asked for was taken out of them. Three engineers have access, each with a second factor, and every look is logged. Nothing is sold, licensed, or used to train models or to \
advertise. What is kept ends when the person says so, at the latest thirteen months after the last copy. Incidents are told to people and to the authority within 72 hours.";

pub(super) const ATLAS: Wish = Wish {
    app: "Clip Atlas",
    description: "See on a map and a calendar what you watched and posted, and keep it.",
    category: "Productivity",
    icon: RING,
    applicant: "Dana Whitfield",
    address: "dana",
    families: &[ACTIVITY, POSTS],
    use_case: "Clip Atlas shows people their own history as a calendar and as a map. The activity scope gives the watch history, searches and shares that fill the calendar; without it the \
calendar would be empty. The scope for posts and profile gives the person's own posts with their places, which fill the map, and the name and picture at the top of the page. A new copy \
once a week keeps both up to date until the person presses Stop, which is on every page. Screens 1 and 2 of the mockups show the choice and the explanation, screen 4 the calendar.",
};

pub(super) const WATCHLIGHT: Wish = Wish {
    app: "Watchlight",
    description: "A weekly letter about your own viewing habits, to you alone.",
    category: "Lifestyle",
    icon: PLAY,
    applicant: "Emil Sørensen",
    address: "emil",
    families: &[ACTIVITY],
    use_case: "Each Sunday Watchlight writes a letter to the person about what they watched that week: how long, at which hours, and what they came back to. The activity scope is all that \
is needed, and the ongoing kind of it because the letter comes every week. The letter goes to the address that the person confirmed and to nobody else; numbers are kept, titles are \
deleted after the letter was written. Screen 2 of the mockups says so before the connection, screen 4 shows a letter.",
};

pub(super) const GARDEN: Wish = Wish {
    app: "Trendgarden",
    description: "Grow a garden from the songs in your clips.",
    category: "Entertainment",
    icon: BARS,
    applicant: "Dana Whitfield",
    address: "dana",
    families: &[ACTIVITY, POSTS],
    use_case: "In Trendgarden each song that a person watched or posted becomes a plant. The activity scope gives the songs of watched clips and the scope for posts and profile those of \
the person's own. One copy is enough to plant the garden; people can ask for another when they like, so only the single kind of each scope is used. Screens 1 to 3 of the mockups show \
the way there, screen 4 the garden.",
};

pub(super) const VAULT: Wish = Wish {
    app: "Clipvault",
    description: "Everything you ever did there, in one place of your own.",
    category: "Productivity",
    icon: BOX,
    applicant: "Dana Whitfield",
    address: "dana",
    families: &[ALL],
    use_case: "Clipvault keeps a complete copy of the account for the person, so that nothing is lost when the account is closed. It is kept sealed by a key on the person's own device. \
Everything is needed because it is a backup. A new copy comes every month until the person stops it. Screen 4 of the mockups shows the list of copies with their dates and sizes.",
};

pub(super) const SHELF: Wish = Wish {
    app: "Soundshelf",
    description: "Find again the song that was in that clip.",
    category: "Entertainment",
    icon: PLAY,
    applicant: "Emil Sørensen",
    address: "emil",
    families: &[ACTIVITY, MESSAGES],
    use_case: "People often remember a song but not where they heard it. Soundshelf searches their watch history, and the clips that friends sent them, for the song. The activity scope gives \
the watch history. The scope for direct messages gives the clips that were sent; their texts are thrown away while the archive is read. A single copy serves one search, and the person \
starts each by hand. Screen 2 of the mockups explains this before the connection.",
};

pub(super) const MAP: Wish = Wish {
    app: "Momentmap",
    description: "Your posts on the map of your travels.",
    category: "Travel",
    icon: RING,
    applicant: "Finn Aaltonen",
    address: "finn",
    families: &[POSTS],
    use_case: "Momentmap puts the person's own posts on a map and makes a printed book of a journey. It needs the scope for posts and profile: the posts with their dates and places, and the \
name for the cover. A single copy is asked for when a book is made and deleted when it was printed. The first three screens of the mockups show the connection, the last the preview of \
the book.",
};

/// Applications of other organisations: name, site, and what is asked for.
pub(super) const OTHERS: &[(&str, &str, Wish)] = &[
    (
        "Institute for Media Research, University of Aarbach",
        "mediaresearch.example",
        Wish {
            app: "Feed Donation",
            description: "Give a copy of your feed to research on young people and media.",
            category: "Education",
            icon: BARS,
            applicant: "Greta Okonjo",
            address: "greta.okonjo",
            families: &[ACTIVITY, MESSAGES],
            use_case: "A study of 800 adults, approved by the ethics board of the university, asks what they were shown and what they sent on. Participants connect once, see on their own \
screen what the archive holds, take out what they do not want to give, and donate the rest. The activity scope gives what was watched; direct messages are counted by day on the \
participant's own machine and only the counts are donated. We are not a company: the institute is part of a public university, and its page names the study and the people.",
        },
    ),
    (
        "Halfmoon Software GmbH",
        "halfmoon.example",
        Wish {
            app: "Switchboard",
            description: "Move your posts to another service with one press.",
            category: "Productivity",
            icon: BOX,
            applicant: "Henrik Vogel",
            address: "henrik",
            families: &[POSTS],
            use_case: "Switchboard moves a person's posts, with their texts and dates, to a service of their choice. It reads the scope for posts and profile once, shows what it found, \
posts what the person ticks through the other service's own interface, and forgets the archive within the hour. Nothing is kept but a list of what was moved, for thirty days. \
Screens 2 and 4 of the mockups show the choice and the report.",
        },
    ),
    (
        "Openshelf Cooperative",
        "openshelf.example",
        Wish {
            app: "Openshelf",
            description: "A library card for everything you made online.",
            category: "Education",
            icon: RING,
            applicant: "Ines Carvalho",
            address: "ines",
            families: &[POSTS, ACTIVITY],
            use_case: "Openshelf is a cooperative of its 4,000 members. It keeps for each of them what they made online, and shows it in one catalogue that they can open to others piece \
by piece. The scope for posts and profile gives what the member made; the activity scope gives what they saved and liked, for the part of the catalogue that nobody else sees. Copies \
are renewed each month until the member ends it. The mockups show the member's own pages.",
        },
    ),
    (
        "Pixelwerk Studio",
        "pixelwerk.example",
        Wish {
            app: "Duet Coach",
            description: "Learn from your own duets.",
            category: "Education",
            icon: PLAY,
            applicant: "Jana Petrova",
            address: "jana",
            families: &[POSTS],
            use_case: "Duet Coach looks at the duets that a person posted and at how they were received, and suggests what to practise. It needs the scope for posts and profile and nothing \
else. The suggestions are made on the person's own telephone; our servers hold an account name and a list of finished lessons. A single copy is asked for when the person starts a course. \
Screens 1 to 4 of the mockups follow a new member through the first course.",
        },
    ),
];
