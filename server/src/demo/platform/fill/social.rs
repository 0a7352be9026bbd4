//! People and people: follows, blocks, views, chats.

use anyhow::Result;
use serde_json::json;

use super::json;
use crate::demo::platform::schema::Sink;
use crate::demo::platform::schema::Value::{Int, Text};
use crate::demo::platform::words;
use crate::demo::platform::world::World;

type Out<'a> = &'a mut dyn Sink;

/// Both directions between the cast and the crowd, and the two friends. Nobody follows an account that was never used.
pub(in crate::demo::platform) fn follows(w: &World, out: Out) -> Result<()> {
    let crowd = w.crowd.len() as u64;
    for p in &w.people {
        let mut dice = w.dice(p.id, "follows");
        let friend = w.friend(p);
        let start = dice.below(crowd);
        for nth in 0..p.rows.following.min(crowd) {
            let followee = match friend {
                Some(friend) if nth == 0 => friend,
                _ => w.acquaintance(start, nth).id,
            };
            let at = w.span.moment(&mut dice, nth, p.rows.following);
            out.row(&[Int(p.id), Int(followee), Int(at)])?;
        }
        // The friend's own list holds the friend's follow of this person.
        let start = dice.below(crowd);
        for nth in u64::from(friend.is_some())..p.rows.followers.min(crowd) {
            let at = w.span.moment(&mut dice, nth, p.rows.followers);
            out.row(&[Int(w.acquaintance(start, nth).id), Int(p.id), Int(at)])?;
        }
    }
    Ok(())
}

pub(in crate::demo::platform) fn blocks(w: &World, out: Out) -> Result<()> {
    w.timeline(
        "blocks",
        |v| v.blocks,
        |p, tick, _| out.row(&[Int(p.id), Int(w.acquaintance(p.id as u64, tick.nth).id), Int(tick.at)]),
    )
}

pub(in crate::demo::platform) fn profile_views(w: &World, out: Out) -> Result<()> {
    w.timeline(
        "profile_views",
        |v| v.profile_views,
        |p, tick, dice| out.row(&[Int(tick.id), Int(p.id), Int(w.anybody(dice).id), Int(tick.at)]),
    )
}

pub(in crate::demo::platform) fn chats(w: &World, out: Out) -> Result<()> {
    for chat in &w.chats {
        out.row(&[Int(chat.id), Text(chat.kind), Text(&chat.title)])?;
    }
    Ok(())
}

pub(in crate::demo::platform) fn chat_members(w: &World, out: Out) -> Result<()> {
    for chat in &w.chats {
        for member in &chat.members {
            out.row(&[Int(*member), Int(chat.id)])?;
        }
    }
    Ok(())
}

pub(in crate::demo::platform) fn direct_messages(w: &World, out: Out) -> Result<()> {
    let mut id = 0;
    for chat in &w.chats {
        let mut dice = w.dice(chat.id, "direct_messages");
        for nth in 0..chat.messages {
            id += 1;
            let at = w.span.moment(&mut dice, nth, chat.messages);
            let sender = dice.pick(&chat.members);
            let content = match dice.below(8) {
                0 => format!("https://www.tiktokv.com/share/video/{}/", w.seen(&mut dice, at).id),
                1 => words::phrase_in_turn(&mut dice, nth),
                _ => words::phrase(&mut dice),
            };
            out.row(&[Int(id), Int(chat.id), Int(sender), Int(at), Text(&content)])?;
        }
    }
    Ok(())
}

/// Talks with the platform's assistant: the messages are kept as the assistant's own JSON.
pub(in crate::demo::platform) fn tako_chats(w: &World, out: Out) -> Result<()> {
    w.timeline(
        "tako_chats",
        |v| v.tako_chats,
        |p, tick, dice| {
            let title = words::plain(dice, 4);
            let messages: Vec<_> = (0..2 + dice.below(4))
                .map(|nth| {
                    let at = jiff::Timestamp::from_millisecond(tick.at + nth as i64 * 20_000).unwrap_or_default();
                    let text = words::phrase(dice);
                    let role = if nth % 2 == 0 { "user" } else { "assistant" };
                    json!({
                        "Date": at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string(),
                        "Content": {"role": role, "text": text},
                    })
                })
                .collect();
            out.row(&[Int(tick.id), Int(p.id), Int(tick.at), Text(&title), Text(&json(messages.into()))])
        },
    )
}
