//! Coins, gifts, live rooms and the shop.

use anyhow::Result;
use serde_json::json;

use super::json;
use crate::demo::platform::draw::{Dice, snowflake};
use crate::demo::platform::schema::Sink;
use crate::demo::platform::schema::Value::{Flag, Int, Null, Text};
use crate::demo::platform::words;
use crate::demo::platform::world::World;

type Out<'a> = &'a mut dyn Sink;

/// How many shops there are.
const SHOPS: u64 = 24;

fn written(at: i64, form: &str) -> String {
    jiff::Timestamp::from_millisecond(at).unwrap_or_default().strftime(form).to_string()
}

fn price(dice: &mut Dice, most: u64) -> String {
    let cents = 7 + dice.below(most);
    format!("{}.{:02}", cents / 100, cents % 100)
}

pub(in crate::demo::platform) fn gifts(w: &World, out: Out) -> Result<()> {
    w.timeline(
        "gifts",
        |v| v.gifts,
        |p, tick, dice| {
            let coins = dice.pick(&[1, 1, 5, 10, 99, 500]);
            out.row(&[Int(tick.id), Int(p.id), Int(w.anybody(dice).id), Int(tick.at), Int(coins)])
        },
    )
}

pub(in crate::demo::platform) fn coin_purchases(w: &World, out: Out) -> Result<()> {
    w.timeline(
        "coin_purchases",
        |v| v.coin_purchases,
        |p, tick, dice| {
            let (coins, price) = dice.pick(&[(5, "0.07"), (70, "0.89"), (350, "4.49"), (1400, "17.99")]);
            out.row(&[
                Int(tick.id),
                Int(p.id),
                Text(&written(tick.at, "%Y-%m-%dT%H:%M:%SZ")),
                Text(dice.pick(&["Recharge", "Recharge", "Reward"])),
                Int(coins),
                Text(price),
            ])
        },
    )
}

pub(in crate::demo::platform) fn transactions(w: &World, out: Out) -> Result<()> {
    w.timeline(
        "transactions",
        |v| v.transactions,
        |p, tick, dice| {
            let others = json!({"source": "creator fund", "cash out type": "paypal"});
            out.row(&[
                Int(tick.id),
                Int(p.id),
                Int(tick.at),
                Text(dice.pick(&["Withdrawal", "Income", "Refund"])),
                Text(dice.pick(&["EUR", "GBP", "USD"])),
                Text(&price(dice, 30_000)),
                Text(dice.pick(&["Succeeded", "Pending", "Failed"])),
                Text(&format!("TX{:012}", dice.below(1_000_000_000_000))),
                Text(&json(others)),
            ])
        },
    )
}

pub(in crate::demo::platform) fn live_rooms(w: &World, out: Out) -> Result<()> {
    w.timeline(
        "live_rooms",
        |v| v.live_rooms,
        |p, tick, dice| {
            let id = snowflake(tick.at, tick.id as u64);
            let seconds = 60 + dice.below(7200) as i64;
            let muted = json!([w.anybody(dice).username]);
            out.row(&[
                Int(id),
                Int(p.id),
                Int(tick.at),
                Int(tick.at + seconds * 1000),
                Text(&format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)),
                Text(&words::phrase_in_turn(dice, tick.nth)),
                Text(&format!("https://cdn.clips.example/live/{id}.jpeg")),
                Text(&format!("https://cdn.clips.example/live/{id}.m3u8")),
                Text(&price(dice, 9000)),
                Int(dice.below(5000) as i64),
                Int(dice.below(900) as i64),
                Int(dice.below(30) as i64),
                Text(dice.pick(&["720p", "1080p"])),
                Text(&json(muted)),
            ])
        },
    )
}

/// Rooms watched, with what was said there kept as JSON. One room is known only as -1, as old rooms are.
pub(in crate::demo::platform) fn live_views(w: &World, out: Out) -> Result<()> {
    w.timeline(
        "live_views",
        |v| v.live_views,
        |p, tick, dice| {
            let room = if tick.nth == 0 { -1 } else { snowflake(tick.at, 1_000_000 + tick.id as u64) };
            let comments: Vec<_> = (0..dice.below(4))
                .map(|nth| {
                    let at = tick.at + 5_000 + nth as i64 * 9_000;
                    json!({
                        "CommentTime": written(at, "%Y-%m-%d %H:%M:%S"),
                        "CommentContent": words::phrase(dice),
                        "RawTime": at / 1000,
                    })
                })
                .collect();
            let question = json!([{
                "QuestionTime": written(tick.at + 40_000, "%Y-%m-%d %H:%M:%S"),
                "QuestionContent": words::plain(dice, 5),
            }]);
            let question = json(question);
            out.row(&[
                Int(tick.id),
                Int(p.id),
                Int(room),
                Int(tick.at),
                Text(&json(comments.into())),
                if tick.nth % 4 == 1 { Text(&question) } else { Null },
            ])
        },
    )
}

pub(in crate::demo::platform) fn shops(_: &World, out: Out) -> Result<()> {
    for nth in 0..SHOPS {
        out.row(&[Int(nth as i64 + 1), Text(&words::shop(nth))])?;
    }
    Ok(())
}

fn shop(dice: &mut Dice) -> i64 {
    1 + dice.below(SHOPS) as i64
}

pub(in crate::demo::platform) fn shop_messages(w: &World, out: Out) -> Result<()> {
    w.timeline(
        "shop_messages",
        |v| v.shop_messages,
        |p, tick, dice| {
            let shop = 1 + (tick.nth / 5 % SHOPS) as i64;
            let content = words::phrase_in_turn(dice, tick.nth);
            out.row(&[Int(tick.id), Int(p.id), Int(shop), Int(tick.at), Flag(dice.chance(50)), Text(&content)])
        },
    )
}

pub(in crate::demo::platform) fn shop_orders(w: &World, out: Out) -> Result<()> {
    w.timeline(
        "shop_orders",
        |v| v.shop_orders,
        |p, tick, dice| {
            let products: Vec<_> = (0..1 + dice.below(3))
                .map(|_| {
                    json!({
                        "product_name": words::product(dice),
                        "variation_name": dice.pick(&["Default", "Blau / L", "大", "\"XL\""]),
                        "quantity": (1 + dice.below(3)).to_string(),
                    })
                })
                .collect();
            out.row(&[
                Int(577_000_000_000_000_000 + tick.id),
                Int(p.id),
                Int(tick.at),
                Text(&json(products.into())),
                Text(&format!("€{}", price(dice, 9000))),
                Text(dice.pick(&["Completed", "Completed", "Shipped", "Canceled"])),
            ])
        },
    )
}

pub(in crate::demo::platform) fn shop_views(w: &World, out: Out) -> Result<()> {
    w.timeline(
        "shop_views",
        |v| v.shop_views,
        |p, tick, dice| {
            let at = written(tick.at, "%Y-%m-%dT%H:%M:%SZ");
            out.row(&[Int(tick.id), Int(p.id), Text(&at), Int(shop(dice)), Text(words::product(dice))])
        },
    )
}

pub(in crate::demo::platform) fn shop_addresses(w: &World, out: Out) -> Result<()> {
    w.timeline(
        "shop_addresses",
        |v| v.shop_addresses,
        |p, tick, dice| {
            let address = format!("Beispielweg {}\n01234 Musterstadt, {}", 1 + dice.below(90), p.region);
            out.row(&[Int(tick.id), Int(p.id), Text(&p.display_name), Text("(+49)30*****41"), Text(&address)])
        },
    )
}

pub(in crate::demo::platform) fn shop_cart(w: &World, out: Out) -> Result<()> {
    w.timeline(
        "shop_cart",
        |v| v.shop_cart,
        |p, tick, dice| {
            let count = 1 + dice.below(4) as i64;
            out.row(&[Int(tick.id), Int(p.id), Int(tick.at), Int(count), Int(shop(dice)), Text(words::product(dice))])
        },
    )
}

pub(in crate::demo::platform) fn shop_favorites(w: &World, out: Out) -> Result<()> {
    w.timeline(
        "shop_favorites",
        |v| v.shop_favorites,
        |p, tick, dice| out.row(&[Int(tick.id), Int(p.id), Int(tick.at), Int(shop(dice)), Text(words::product(dice))]),
    )
}

pub(in crate::demo::platform) fn shop_vouchers(w: &World, out: Out) -> Result<()> {
    w.timeline(
        "shop_vouchers",
        |v| v.shop_vouchers,
        |p, tick, dice| {
            out.row(&[
                Int(7_300_000_000_000_000_000 + tick.id),
                Int(p.id),
                Int(tick.at),
                Text(dice.pick(&["€5 off", "Free shipping", "-20 % on \"tea\""])),
                Text("Orders from €25; one per person"),
                Text(dice.pick(&["Available", "Used", "Expired"])),
            ])
        },
    )
}
