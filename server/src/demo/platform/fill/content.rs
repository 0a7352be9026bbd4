//! Videos and what people do with them: watch, like, keep, comment, share, search.

use anyhow::Result;

use crate::demo::platform::draw::snowflake;
use crate::demo::platform::schema::Sink;
use crate::demo::platform::schema::Value::{Flag, Int, Null, Text};
use crate::demo::platform::words;
use crate::demo::platform::world::World;

type Out<'a> = &'a mut dyn Sink;

/// First the videos that go round, then the cast's own, deleted ones among them.
pub(in crate::demo::platform) fn videos(w: &World, out: Out) -> Result<()> {
    for clip in &w.clips {
        let mut row = [Flag(true); 20];
        row[..8].copy_from_slice(&[
            Int(clip.id),
            Int(clip.author),
            Int(clip.at),
            Null,
            Text(&clip.title),
            Int(0),
            Int(0),
            Text("Everyone"),
        ]);
        row[13..15].fill(Flag(false));
        row[15..].fill(Text(""));
        out.row(&row)?;
    }
    let pool = w.clips.len() as u64;
    for (table, deleted) in [("posts", false), ("deleted_posts", true)] {
        let count = if deleted {
            |v: &super::super::people::Volumes| v.deleted_posts
        } else {
            |v: &super::super::people::Volumes| v.posts
        };
        w.timeline(table, count, |p, tick, dice| {
            // Numbers after the pool's, even for posts and odd for deleted ones: ids never meet.
            let id = snowflake(tick.at, pool + tick.id as u64 * 2 + u64::from(deleted));
            let removed = dice.between(tick.at, w.span.to);
            let cover = format!("https://cdn.clips.example/covers/{id}.jpeg");
            out.row(&[
                Int(id),
                Int(p.id),
                Int(tick.at),
                if deleted { Int(removed) } else { Null },
                Text(&words::phrase_in_turn(dice, tick.nth)),
                Int(dice.below(9000) as i64),
                Int(dice.below(40) as i64),
                Text(dice.pick(&["Everyone", "Everyone", "Friends", "Only me"])),
                Flag(dice.chance(90)),
                Flag(dice.chance(60)),
                Flag(dice.chance(60)),
                Flag(dice.chance(70)),
                Flag(dice.chance(50)),
                Flag(dice.chance(5)),
                Flag(dice.chance(8)),
                Text(dice.pick(&["original sound", "Suite Nr. 1 in G", "Дождь", "봄날 (sped up)"])),
                Text(dice.pick(&["", "", "Berlin", "Wien, Österreich", "서울"])),
                Text(dice.pick(&["", "", "my desk right now"])),
                Text(dice.pick(&["", "a viola on a chair", "一只猫"])),
                Text(&cover),
            ])
        })?;
    }
    Ok(())
}

/// Watched in sittings: a few seconds to a minute apart, up to forty in a row.
pub(in crate::demo::platform) fn watch_history(w: &World, out: Out) -> Result<()> {
    let mut id = 0;
    for p in &w.people {
        let mut dice = w.dice(p.id, "watch_history");
        let rows = p.rows.watch_history;
        let (mut at, mut left) = (0, 0);
        for nth in 0..rows {
            if left == 0 {
                at = w.span.moment(&mut dice, nth, rows);
                left = dice.below(40);
            } else {
                at = dice.between(at + 3_000, at + 60_000);
                left -= 1;
            }
            let clip = w.seen(&mut dice, at);
            id += 1;
            out.row(&[Int(id), Int(p.id), Int(clip.id), Int(at), Text(&clip.title)])?;
        }
    }
    Ok(())
}

pub(in crate::demo::platform) fn likes(w: &World, out: Out) -> Result<()> {
    w.timeline(
        "likes",
        |v| v.likes,
        |p, tick, dice| out.row(&[Int(tick.id), Int(p.id), Int(w.seen(dice, tick.at).id), Int(tick.at)]),
    )
}

pub(in crate::demo::platform) fn favorite_videos(w: &World, out: Out) -> Result<()> {
    w.timeline(
        "favorite_videos",
        |v| v.favorite_videos,
        |p, tick, dice| out.row(&[Int(tick.id), Int(p.id), Int(w.seen(dice, tick.at).id), Int(tick.at)]),
    )
}

/// Sounds, effects, hashtags and collections in one table, as platforms do until they regret it.
pub(in crate::demo::platform) fn favorites(w: &World, out: Out) -> Result<()> {
    let mut before = 0;
    let mut kept = |kind: &'static str,
                    count: fn(&super::super::people::Volumes) -> u64,
                    target: &dyn Fn(&mut super::super::draw::Dice, u64) -> String|
     -> Result<()> {
        let mut last = before;
        w.timeline(&format!("favorites {kind}"), count, |p, tick, dice| {
            last = before + tick.id;
            out.row(&[Int(last), Int(p.id), Text(kind), Text(&target(dice, tick.nth)), Int(tick.at)])
        })?;
        before = last;
        Ok(())
    };
    kept("sound", |v| v.favorite_sounds, &|dice, _| {
        let slug = dice.pick(&["original-sound", "suite-nr-1", "midnight-rain", "夏の音", "дождь"]);
        format!("https://www.tiktok.com/music/{slug}-{}", 6_900_000_000_000_000_000 + dice.below(600_000_000_000_000_000))
    })?;
    kept("effect", |v| v.favorite_effects, &|dice, _| {
        format!("https://www.tiktok.com/sticker/effect-{}", dice.below(9_000_000))
    })?;
    kept("hashtag", |v| v.favorite_hashtags, &|_, nth| format!("https://www.tiktok.com/tag/{}", words::tag(nth)))?;
    kept("collection", |v| v.favorite_collections, &|_, nth| {
        let names = ["Rezepte 🍝", "To watch \"later\"", "音楽", "Обучение"];
        match nth as usize / names.len() {
            0 => names[nth as usize].to_owned(),
            round => format!("{} {}", names[nth as usize % names.len()], round + 1),
        }
    })
}

pub(in crate::demo::platform) fn comments(w: &World, out: Out) -> Result<()> {
    w.timeline(
        "comments",
        |v| v.comments,
        |p, tick, dice| {
            let video = w.seen(dice, tick.at).id;
            let words = words::phrase_in_turn(dice, tick.nth);
            let photo = format!("https://cdn.clips.example/comments/{}.jpeg", tick.id);
            out.row(&[
                Int(tick.id),
                Int(p.id),
                Int(video),
                Int(tick.at),
                Text(&words),
                if tick.nth % 9 == 4 { Text(&photo) } else { Null },
                Null,
                if tick.nth % 11 == 5 { Text("https://cdn.clips.example/stickers/wave.webp") } else { Null },
            ])
        },
    )
}

pub(in crate::demo::platform) fn reposts(w: &World, out: Out) -> Result<()> {
    w.timeline(
        "reposts",
        |v| v.reposts,
        |p, tick, dice| out.row(&[Int(tick.id), Int(p.id), Int(w.seen(dice, tick.at).id), Int(tick.at)]),
    )
}

pub(in crate::demo::platform) fn shares(w: &World, out: Out) -> Result<()> {
    w.timeline(
        "shares",
        |v| v.shares,
        |p, tick, dice| {
            let (what, link) = match dice.below(5) {
                0 => ("profile", format!("https://www.tiktok.com/@{}", w.anybody(dice).username)),
                _ => ("video", format!("https://www.tiktokv.com/share/video/{}/", w.seen(dice, tick.at).id)),
            };
            let method = dice.pick(&["copy link", "whatsapp", "chat_head", "sms", "email"]);
            out.row(&[Int(tick.id), Int(p.id), Int(tick.at), Text(what), Text(&link), Text(method)])
        },
    )
}

pub(in crate::demo::platform) fn searches(w: &World, out: Out) -> Result<()> {
    w.timeline(
        "searches",
        |v| v.searches,
        |p, tick, dice| out.row(&[Int(tick.id), Int(p.id), Int(tick.at), Text(&words::phrase_in_turn(dice, tick.nth))]),
    )
}

pub(in crate::demo::platform) fn hashtags(w: &World, out: Out) -> Result<()> {
    w.timeline(
        "hashtags",
        |v| v.hashtags,
        |p, tick, _| out.row(&[Int(tick.id), Int(p.id), Int(tick.at), Text(&words::tag(tick.nth))]),
    )
}

pub(in crate::demo::platform) fn place_reviews(w: &World, out: Out) -> Result<()> {
    w.timeline(
        "place_reviews",
        |v| v.place_reviews,
        |p, tick, dice| {
            out.row(&[
                Int(tick.id),
                Int(p.id),
                Int(tick.at),
                Text(dice.pick(&["Café \"Zur Viola\"", "駅前ラーメン", "Парк Горького", "مقهى النيل"])),
                Int(1 + dice.below(5) as i64),
                Text(dice.pick(&["Published", "Published", "Under review"])),
                Int(dice.below(30) as i64),
                Text(&words::phrase_in_turn(dice, tick.nth)),
            ])
        },
    )
}

pub(in crate::demo::platform) fn off_platform_events(w: &World, out: Out) -> Result<()> {
    w.timeline(
        "off_platform_events",
        |v| v.off_platform_events,
        |p, tick, dice| {
            out.row(&[
                Int(tick.id),
                Int(p.id),
                Int(tick.at),
                Text(dice.pick(&["shop.example", "news.example", "Spiel & Spaß GmbH", "fitness-app"])),
                Text(dice.pick(&["Page view", "Add to cart", "Purchase", "App launch", "Search"])),
            ])
        },
    )
}

pub(in crate::demo::platform) fn ad_visits(w: &World, out: Out) -> Result<()> {
    w.timeline(
        "ad_visits",
        |v| v.ad_visits,
        |p, tick, dice| {
            let link = format!("https://ads.example/c/{}?q=a%20b&x=\"1\"", dice.below(1_000_000));
            let micros = tick.at * 1000 + dice.below(1000) as i64;
            out.row(&[Int(tick.id), Int(p.id), Int(micros), Text(&words::plain(dice, 5)), Text(&link)])
        },
    )
}
