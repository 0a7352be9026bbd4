//! Texts as people write them: several scripts, emoji, and now and then something that breaks careless software.

use super::draw::Dice;

const SCRIPTS: &[(u64, &[&str])] = &[
    (
        40,
        &[
            "the best",
            "pasta",
            "in",
            "one pan",
            "how to",
            "tie",
            "a bowline",
            "cat",
            "falls off",
            "piano",
            "slow morning",
            "rain",
            "on the roof",
            "Grüße",
            "aus",
            "Köln",
            "straße",
            "l'été",
            "déjà vu",
            "garçon",
            "mañana",
            "señor",
            "naïve",
            "smörgåsbord",
            "żółw",
            "źdźbło",
            "İstanbul",
            "ışık",
            "Việt Nam",
            "phở bò",
            "don't",
            "tutorial",
            "part 2",
            "wait for it",
        ],
    ),
    (
        15,
        &[
            "привет",
            "мир",
            "лучший",
            "рецепт",
            "борща",
            "котик",
            "зимой",
            "съёмка",
            "Київ",
            "їжак",
            "ґанок",
            "љубав",
            "Ђорђе",
            "утро",
        ],
    ),
    (12, &["مرحبا", "بالعالم", "وصفة", "القهوة", "الصباح", "قطتي", "تضحك", "سلام", "چای", "گل", "٢٠٢٦", "مُدَرِّس"]),
    (10, &["नमस्ते", "दुनिया", "चाय", "का", "समय", "हिन्दी", "क्षत्रिय", "बारिश", "में", "नाच", "१२३", "ज़िंदगी"]),
    (
        13,
        &[
            "こんにちは",
            "世界",
            "猫が",
            "転ぶ",
            "ラーメン",
            "の",
            "作り方",
            "朝ごはん",
            "你好",
            "今天",
            "吃什么",
            "學習",
            "𠮷野家",
            "ｶﾀｶﾅ",
            "・",
            "第２話",
        ],
    ),
    (10, &["안녕하세요", "세계", "고양이", "떡볶이", "맛집", "오늘의", "브이로그", "춤", "ㅋㅋㅋ", "한국어"]),
];

const EMOJI: &[&str] = &["😂", "🔥", "❤️", "🎻", "👩🏽‍💻", "👨‍👩‍👧‍👦", "🏳️‍🌈", "👩‍❤️‍💋‍👩", "🧑🏿‍🚀", "🇪🇺", "🏴󠁧󠁢󠁳󠁣󠁴󠁿", "1️⃣", "🫠", "😶‍🌫️", "🐈‍⬛"];

/// What a file, a page, a spreadsheet or a terminal may stumble over. NUL is missing because PostgreSQL has no place for it.
pub(super) const AWKWARD: &[&str] = &[
    "she said \"no\"",
    "it's 'fine'",
    "C:\\new\\table\\u0041",
    "ends with a backslash\\",
    "\"",
    "two\nlines",
    "windows\r\nline",
    "lone\rreturn",
    "tab\there",
    "a blank line\n\nDate: 2020-01-01 00:00:00 UTC\nLink: https://forged.example/",
    "bell \u{7} escape \u{1b}[31mred\u{1b}[0m",
    "\u{1}\u{2}\u{8}\u{b}\u{c}\u{1f}\u{7f}",
    "next line \u{85} end",
    "separators \u{2028} and \u{2029} end",
    "<script>alert(1)</script>",
    "</div><img src=x onerror=\"alert('x')\">",
    "&amp; &lt; & < >",
    "]]> <!-- -->",
    "=1+1",
    "=HYPERLINK(\"https://forged.example/\",\"click\")",
    "+49 30 1",
    "-2",
    "@SUM(A1:A9)",
    "a,b;c\td|e",
    "'; drop table users; --",
    "100 % _ like * ?",
    "{{7*7}} ${HOME} %s %n",
    "../../etc/passwd",
    "null",
    "N/A",
    "",
    " ",
    "  padded  ",
    "right-to-left \u{202e}txt.exe",
    "zero\u{200b}width\u{200d}joiners\u{feff}",
    "e\u{301} is not é",
    "Z\u{351}\u{36b}\u{343}a\u{35c}l\u{489}g\u{321}o",
    "𝒳 𝔘𝔫𝔦 \u{10ffff}",
    "\u{fffd}\u{fffe}",
    "12345678901234567890",
    "2026-02-30",
    "true",
];

/// A short text; about one in thirty is awkward.
pub(super) fn phrase(dice: &mut Dice) -> String {
    if dice.below(30) == 0 {
        return dice.pick(AWKWARD).to_owned();
    }
    plain(dice, 7)
}

/// A short text of which every awkward kind comes round in turn: for lists that everybody looks at.
pub(super) fn phrase_in_turn(dice: &mut Dice, nth: u64) -> String {
    if nth % 2 == 1 {
        return AWKWARD[(nth / 2) as usize % AWKWARD.len()].to_owned();
    }
    plain(dice, 9)
}

/// One to `most` words of one script, and an emoji now and then.
pub(super) fn plain(dice: &mut Dice, most: u64) -> String {
    let mut draw = dice.below(100);
    let mut words = SCRIPTS[0].1;
    for (share, of_script) in SCRIPTS {
        if draw < *share {
            words = of_script;
            break;
        }
        draw -= share;
    }
    let mut text = String::with_capacity(48);
    for nth in 0..=dice.below(most) {
        if nth > 0 {
            text.push(' ');
        }
        text.push_str(dice.pick(words));
    }
    if dice.chance(20) {
        text.push(' ');
        text.push_str(dice.pick(EMOJI));
    }
    text
}

const MANNERS: &[&str] = &[
    "quiet", "brave", "sleepy", "cosmic", "velvet", "rusty", "lucky", "salty", "paper", "electric", "gentle", "midnight",
    "sunny", "wild", "tiny", "golden", "frosty", "curious", "hollow", "amber",
];
const BEINGS: &[&str] = &[
    "otter", "fox", "heron", "badger", "maple", "comet", "teapot", "violin", "moth", "lynx", "pebble", "raven", "walnut", "kite",
    "harbor", "lantern", "tulip", "gecko", "bison", "plum",
];

/// A username that no other number gives.
pub(super) fn handle(nth: usize) -> String {
    let (manner, being) = (MANNERS[nth % MANNERS.len()], BEINGS[nth / MANNERS.len() % BEINGS.len()]);
    match nth / (MANNERS.len() * BEINGS.len()) {
        0 => format!("{manner}.{being}"),
        round => format!("{manner}_{being}{round}"),
    }
}

const TAGS: &[&str] = &[
    "fyp",
    "foodtok",
    "booktok",
    "viola",
    "radfahren",
    "été2025",
    "котики",
    "猫",
    "여행",
    "شعر",
    "योग",
    "diy",
    "woodworking",
    "wien",
    "latenight",
    "recipe",
    "gymtok",
    "plants",
    "mathjokes",
    "unboxing",
];

/// A hashtag that no other number gives.
pub(super) fn tag(nth: u64) -> String {
    let tag = TAGS[nth as usize % TAGS.len()];
    match nth / TAGS.len() as u64 {
        0 => tag.to_owned(),
        round => format!("{tag}{}", round + 1),
    }
}

const SHOPS: &[&str] = &[
    "Nordlicht Kerzen",
    "Tea & Sons",
    "Büro \"Schön\"",
    "小さな本屋",
    "Café Olé",
    "Кнопка",
    "حرير",
    "Left_Handed Tools",
    "Bike-Teile 24",
    "Plant; People",
    "Sock's",
    "한복 Studio",
];

/// A shop's name that no other number gives.
pub(super) fn shop(nth: u64) -> String {
    let shop = SHOPS[nth as usize % SHOPS.len()];
    match nth / SHOPS.len() as u64 {
        0 => shop.to_owned(),
        round => format!("{shop} {}", round + 1),
    }
}

const GOODS: &[&str] = &[
    "Beeswax candle, 3 pieces",
    "Left-handed scissors",
    "Notebook A5 \"dots\"",
    "Enamel mug 0.3 l",
    "Wool socks 39–42",
    "Bicycle bell (brass)",
    "緑茶 100 g",
    "Rosin for viola",
    "Monstera cutting",
    "Phone case 👾",
    "Чай с чабрецом",
    "Seife & Schale",
];

/// Something that a shop sells.
pub(super) fn product(dice: &mut Dice) -> &'static str {
    dice.pick(GOODS)
}
