//! Accounts, their profiles and settings, devices and logins.

use anyhow::Result;
use serde_json::json;

use super::json;
use crate::demo::platform::people::{Person, Size};
use crate::demo::platform::schema::Sink;
use crate::demo::platform::schema::Value::{Flag, Int, Null, Text};
use crate::demo::platform::words;
use crate::demo::platform::world::World;

type Out<'a> = &'a mut dyn Sink;

/// The cast and the crowd. Even an account that was never used is here.
pub(in crate::demo::platform) fn users(w: &World, out: Out) -> Result<()> {
    for p in &w.people {
        out.row(&[
            Int(p.id),
            Text(&p.username),
            Text(&p.display_name),
            Text(&format!("{}@example.org", p.username)),
            Text(p.region),
            Text(p.birth_date),
            Flag(p.verified()),
            Int(w.span.from),
        ])?;
    }
    let mut dice = w.dice(0, "users");
    for account in &w.crowd {
        out.row(&[
            Int(account.id),
            Text(&account.username),
            Text(&words::plain(&mut dice, 2)),
            Text(&format!("{}@example.net", account.username)),
            Text(dice.pick(&["DE", "FR", "IT", "ES", "GB", "JP", "KR", "IN", "EG", "UA"])),
            Text("1990-01-01"),
            Flag(dice.chance(3)),
            Int(w.span.from),
        ])?;
    }
    Ok(())
}

fn active(w: &World) -> impl Iterator<Item = &Person> {
    w.people.iter().filter(|p| p.size != Size::Empty)
}

pub(in crate::demo::platform) fn profiles(w: &World, out: Out) -> Result<()> {
    for p in active(w) {
        let name = &p.username;
        let linked = json!([
            {"Description": "Viola, mostly", "Name": p.display_name, "Platform": "Google", "Profile Photo": format!("https://photos.example/{name}.jpg")},
            {"Description": "N/A", "Name": name, "Platform": "Apple", "Profile Photo": "N/A"},
        ]);
        out.row(&[
            Int(p.id),
            Text(&p.bio),
            if p.phone.is_empty() { Null } else { Text(p.phone) },
            Text(&format!("https://cdn.clips.example/avatars/{name}.jpeg")),
            if p.verified() { Text("https://cdn.clips.example/avatars/clara.mp4") } else { Null },
            Text(&format!("https://www.instagram.com/{name}.demo")),
            Text(&format!("https://www.youtube.com/@{name}.demo")),
            Text(&format!("https://www.lemon8-app.com/@{name}.demo")),
            if p.id % 2 == 1 { Text("Female") } else { Null },
            Int(p.likes_received() as i64),
            Text("N/A"),
            Text("Apparel & Accessories | Classical Music | Cycling | Food & Beverage | Kaffee | 旅行"),
            Text("2025-06-01 18:20:00"),
            Text(&json(linked)),
        ])?;
    }
    Ok(())
}

pub(in crate::demo::platform) fn autofill(w: &World, out: Out) -> Result<()> {
    for p in active(w) {
        let (first, last) = p.display_name.split_once(' ').unwrap_or((&p.display_name, ""));
        let email = format!("{}@example.org", p.username);
        let phone = if p.phone.is_empty() { Null } else { Text(p.phone) };
        out.row(&[
            Int(p.id),
            phone,
            Text(&email),
            Text(first),
            Text(last),
            Text("Beispielweg 7"),
            Text("01234"),
            Null,
            Text("Musterstadt"),
            Null,
            Text(p.region),
        ])?;
    }
    Ok(())
}

pub(in crate::demo::platform) fn settings(w: &World, out: Out) -> Result<()> {
    for p in active(w) {
        let language = match p.region {
            "DE" => "German",
            "FR" => "French",
            "BR" => "Portuguese",
            _ => "English",
        };
        let content = json!({
            "Keyword filters for videos in Following feed": ["spoiler"],
            "Keyword filters for videos in For You feed": ["prank", "\"diet\"", "спойлер"],
            "Video Languages Preferences": ["de", "en", "ja"],
        });
        let pairing = json!([{"FPAccountType": "N/A", "LinkedAccountUsername": "N/A"}]);
        let push = json!({
            "Desktop notification": "Off",
            "New Comments on My Video": "On",
            "New Fans": "Off",
            "New Likes on My Video": "On",
        });
        let screen = json!([{
            "DailyScreenTimeLimit": "60 minutes",
            "DailyScreenTimeToggleStatus": "On",
            "SleepHoursDuration": "22:00 - 07:00",
            "SleepHoursToggleStatus": "On",
            "WeeklyScreenTimeUpdatesToggleStatus": "Off",
        }]);
        out.row(&[
            Int(p.id),
            Text("Off"),
            Text("On"),
            Text("Off"),
            Text(language),
            Text(language),
            Text("On"),
            Text("Off"),
            Text(&json(content)),
            Text("{}"),
            Text(&json(pairing)),
            Text("On"),
            Text("Music | Food & Drink | Outdoors"),
            Text("Off"),
            Text("Off"),
            Text(&json(push)),
            Text(&json(screen)),
            Text("Off"),
            Text("On"),
            Text("Off"),
            Text("Friends"),
            Text("Everyone"),
            Text("Friends"),
            Text("Only me"),
            Text("Only me"),
            Text("Everyone"),
        ])?;
    }
    Ok(())
}

pub(in crate::demo::platform) fn live_settings(w: &World, out: Out) -> Result<()> {
    for p in active(w) {
        let mut dice = w.dice(p.id, "live_settings");
        let moderators = json!([w.anybody(&mut dice).username, w.anybody(&mut dice).username]);
        // The one place where the platform kept times as it shows them.
        let mut changed = |nth| {
            let at = jiff::Timestamp::from_millisecond(w.span.moment(&mut dice, nth, 10)).unwrap_or_default();
            at.strftime("%Y-%m-%d %H:%M:%S").to_string()
        };
        let (in_app, on_web) = (changed(8), changed(5));
        out.row(&[
            Int(p.id),
            Text("Off"),
            Text("Friends"),
            Text("On"),
            Text("Off"),
            Text("On"),
            Text("On"),
            Text("On"),
            Text(&json(json!(["giveaway", "\"free\" coins", "жулик"]))),
            Text("On"),
            Text(&json(moderators)),
            Text("Off"),
            Text("On"),
            Text("Off"),
            Text(&in_app),
            Text(&on_web),
        ])?;
    }
    Ok(())
}

pub(in crate::demo::platform) fn activity_summaries(w: &World, out: Out) -> Result<()> {
    for p in active(w) {
        out.row(&[
            Int(p.id),
            Int(p.rows.comments as i64),
            Int(p.rows.shares as i64),
            Int((p.rows.watch_history * 2 / 5) as i64),
        ])?;
    }
    Ok(())
}

pub(in crate::demo::platform) fn locations(w: &World, out: Out) -> Result<()> {
    for p in active(w) {
        let mut dice = w.dice(p.id, "locations");
        let at = w.span.moment(&mut dice, 99, 100);
        out.row(&[Int(p.id), Int(at), Text("52.52,13.40"), Text(p.region)])?;
    }
    Ok(())
}

const PHONES: &[(&str, &str)] = &[
    ("iPhone15,3", "iOS 18.5"),
    ("iPhone17,1", "iOS 26.0"),
    ("SM-S921B", "Android 15"),
    ("Pixel 9", "Android 16"),
    ("iPad14,5", "iPadOS 18.5"),
];

pub(in crate::demo::platform) fn devices(w: &World, out: Out) -> Result<()> {
    w.timeline(
        "devices",
        |v| v.devices,
        |p, tick, dice| {
            let uuid = |dice: &mut super::super::draw::Dice| {
                let (a, b) = (dice.below(1 << 32), dice.below(1 << 48));
                format!("{a:08X}-{:04X}-4{:03X}-A{:03X}-{b:012X}", dice.below(1 << 16), dice.below(1 << 12), dice.below(1 << 12))
            };
            let (idfa, idfv) = (uuid(dice), uuid(dice));
            let did = 7_000_000_000_000_000_000 + dice.below(500_000_000_000_000_000);
            out.row(&[
                Int(tick.id),
                Int(p.id),
                Int(tick.at),
                Text(dice.pick(&["1179*2556", "1440*3120", "1080*2424"])),
                Text(dice.pick(&["41.2.0", "42.0.3", "40.9.1"])),
                Text(&idfa),
                Text(""),
                Text(""),
                Text(&idfv),
                Text(&did.to_string()),
                Text(""),
            ])
        },
    )
}

pub(in crate::demo::platform) fn logins(w: &World, out: Out) -> Result<()> {
    w.timeline(
        "logins",
        |v| v.logins,
        |p, tick, dice| {
            let (model, system) = dice.pick(PHONES);
            // Addresses from the ranges that are set aside for documentation.
            let ip = match dice.below(3) {
                0 => format!("192.0.2.{}", dice.below(255)),
                1 => format!("198.51.100.{}", dice.below(255)),
                _ => format!("2001:db8:{:x}::{:x}", dice.below(0xffff), dice.below(0xffff)),
            };
            out.row(&[
                Int(tick.id),
                Int(p.id),
                Int(tick.at / 1000),
                Text(&ip),
                Text(model),
                Text(system),
                Text(dice.pick(&["Wi-Fi", "4G", "5G"])),
                Text(dice.pick(&["", "", "Telekom.de", "O2 \"DE\"", "EE"])),
            ])
        },
    )
}
