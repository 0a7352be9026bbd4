"""The archive in other people's readers, and its rows against SQL of the test's own.

    run.py                  makes archives through a server: empty, typical and heavy person, JSON and text
    run.py FOLDER           looks at FOLDER/archive.zip as `portward demo --once` left it, beside its clips.db

The counts and the empties below were written from the description of the layout and the platform's tables; they are not
taken from the catalogue that makes the archive.
"""

import datetime
import json
import pathlib
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
import zipfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "clients/python"))

import portward_dev as kit

NULL, LIST, MAP = None, [], {}
MINE = "where user_id = :me"
DAY = "%Y-%m-%d %H:%M:%S"
# Path in the document, what an empty one looks like, SQL that counts the rows.
ROWS = [
    ("Comment/Comments/CommentsList", NULL, f"select count(*) from comments {MINE}"),
    (
        "Direct Message/Direct Messages/ChatHistory",
        MAP,
        "select count(*) from direct_messages where chat_id in (select chat_id from chat_members where user_id = :me)"
        " and chat_id in (select id from chats where kind = 'direct')",
    ),
    (
        "Direct Message/Group Chat/GroupChat",
        MAP,
        "select count(*) from direct_messages where chat_id in (select chat_id from chat_members where user_id = :me)"
        " and chat_id in (select id from chats where kind = 'group')",
    ),
    ("Direct Message/Tako Chat History/TakoChatHistoryList", NULL, f"select count(*) from tako_chats {MINE}"),
    ("Income+ Wallet/Coin Purchase History/CoinPurchaseHistoryList", NULL, f"select count(*) from coin_purchases {MINE}"),
    ("Income+ Wallet/Transaction History/TransactionsList", NULL, f"select count(*) from transactions {MINE}"),
    (
        "Likes and Favorites/Favorite Collection/FavoriteCollectionList",
        NULL,
        f"select count(*) from favorites {MINE} and kind = 'collection'",
    ),
    ("Likes and Favorites/Favorite Effects/FavoriteEffectsList", NULL, f"select count(*) from favorites {MINE} and kind = 'effect'"),
    ("Likes and Favorites/Favorite Hashtags/FavoriteHashtagList", LIST, f"select count(*) from favorites {MINE} and kind = 'hashtag'"),
    ("Likes and Favorites/Favorite Sounds/FavoriteSoundList", NULL, f"select count(*) from favorites {MINE} and kind = 'sound'"),
    ("Likes and Favorites/Favorite Videos/FavoriteVideoList", NULL, f"select count(*) from favorite_videos {MINE}"),
    ("Likes and Favorites/Like List/ItemFavoriteList", NULL, f"select count(*) from likes {MINE}"),
    ("Location Review/Location Reviews/ReviewsList", NULL, f"select count(*) from place_reviews {MINE}"),
    ("Post/Posts/VideoList", NULL, "select count(*) from videos where author_id = :me and deleted_at is null"),
    ("Post/Recently Deleted Posts/PostList", LIST, "select count(*) from videos where author_id = :me and deleted_at is not null"),
    ("Profile And Settings/Block List/BlockList", NULL, f"select count(*) from blocks {MINE}"),
    ("Profile And Settings/Follower/FansList", LIST, "select count(*) from follows where followee_id = :me"),
    ("Profile And Settings/Following/Following", NULL, "select count(*) from follows where follower_id = :me"),
    ("Profile And Settings/Off TikTok Activity/OffTikTokActivityDataList", NULL, f"select count(*) from off_platform_events {MINE}"),
    ("Profile And Settings/ProfileViews/ProfileViewList", NULL, f"select count(*) from profile_views {MINE}"),
    ("TikTok Live/Go Live History/GoLiveList", NULL, f"select count(*) from live_rooms {MINE}"),
    ("TikTok Live/Watch Live History/WatchLiveMap", MAP, f"select count(distinct room_id) from live_views {MINE}"),
    ("TikTok Shop/Communication With Shops/CommunicationHistories", NULL, f"select count(*) from shop_messages {MINE}"),
    ("TikTok Shop/Order History/OrderHistories", NULL, f"select count(*) from shop_orders {MINE}"),
    ("TikTok Shop/Product Browsing History/ProductBrowsingHistories", NULL, f"select count(*) from shop_views {MINE}"),
    ("TikTok Shop/Saved Address Information/SavedAddress", NULL, f"select count(*) from shop_addresses {MINE}"),
    ("TikTok Shop/Shopping Cart List/ShoppingCart", NULL, f"select count(*) from shop_cart {MINE}"),
    ("TikTok Shop/TikTokFavoriteItem/TikTokFavoriteItemResult", NULL, f"select count(*) from shop_favorites {MINE}"),
    ("TikTok Shop/Vouchers/Vouchers", NULL, f"select count(*) from shop_vouchers {MINE}"),
    ("Your Activity/Ads Visit History/AdsVisitHistoryList", NULL, f"select count(*) from ad_visits {MINE}"),
    ("Your Activity/Hashtag/HashtagList", NULL, f"select count(*) from hashtags {MINE}"),
    ("Your Activity/Login History/LoginHistoryList", NULL, f"select count(*) from logins {MINE}"),
    ("Your Activity/Off TikTok Activity/OffTikTokActivityDataList", NULL, f"select count(*) from off_platform_events {MINE}"),
    ("Your Activity/Purchases/SendGifts/SendGifts", NULL, f"select count(*) from gifts {MINE}"),
    ("Your Activity/Purchases/BuyGifts/BuyGifts", NULL, f"select count(*) from coin_purchases {MINE}"),
    ("Your Activity/Reposts/RepostList", NULL, f"select count(*) from reposts {MINE}"),
    ("Your Activity/Searches/SearchList", NULL, f"select count(*) from searches {MINE}"),
    ("Your Activity/Share History/ShareHistoryList", NULL, f"select count(*) from shares {MINE}"),
    ("Your Activity/Status/Status List", NULL, f"select count(*) from devices {MINE}"),
    ("Your Activity/Watch History/VideoList", NULL, f"select count(*) from watch_history {MINE}"),
]
GROUPED = {
    "Direct Message/Direct Messages/ChatHistory",
    "Direct Message/Group Chat/GroupChat",
    "TikTok Shop/Communication With Shops/CommunicationHistories",
    "TikTok Shop/TikTokFavoriteItem/TikTokFavoriteItemResult",
}
CONSTANTS = [
    *[(f"{path}/App", 0) for path in ("Comment/Comments", "Likes and Favorites/Favorite Videos", "Likes and Favorites/Like List")],
    *[(f"Profile And Settings/{name}/App", 0) for name in ("Block List", "Follower", "Following", "Profile Info", "Settings")],
    *[(f"Profile And Settings/{name}/IsFastLane", False) for name in ("Follower", "Following")],
    *[(f"Likes and Favorites/{name}", {}) for name in ("Collection", "Favorite Drama")],
    *[
        (f"Likes and Favorites/{path}", [])
        for path in (
            "Favorite Comment/FavoriteCommentList",
            "Favorite Location/FavoriteLocationList",
            "Favorite Movies and TV/FavoriteMoviesAndTVList",
            "Favorite Playlists/FavoritePlaylistList",
        )
    ],
    ("Post/Story", {}),
    ("Profile And Settings/AISelfImage", {}),
    ("Your Activity/Mini Drama Watch History", {}),
    *[
        (path, None)
        for path in (
            "Profile And Settings/AI-Moji/AIMojiList",
            "TikTok Shop/Current Payment Information/PayCard",
            "TikTok Shop/Customer Support History/CustomerSupportHistories",
            "TikTok Shop/Order Dispute History/OrderDisputeHistories",
            "TikTok Shop/Product Reviews/ProductReviewHistories",
            "TikTok Shop/Returns and Refunds History/ReturnAndRefundHistories",
            "Your Activity/Donation/DonationList",
            "Your Activity/Fundraiser/FundraiserList",
            "Your Activity/Instant Form Ads Responses/ResponsesList",
            "Your Activity/Stickers/StickerList",
        )
    ],
]
# Key sets that importers rely on.
KEYS = {
    "Comment/Comments/CommentsList": "date comment photo video sticker originalPostUrl|original post link",
    "Likes and Favorites/Like List/ItemFavoriteList": "date link",
    "Likes and Favorites/Favorite Videos/FavoriteVideoList": "Date Link",
    "Post/Posts/VideoList": "Date Link Likes WhoCanView AllowComments AllowStitches AllowDuets AllowStickers AllowSharingToStory"
    " ContentDisclosure AIGeneratedContent Sound Location Title AddYoursText AlternateText CoverImage NumberOfCollections",
    "Profile And Settings/ProfileViews/ProfileViewList": "Date Username",
    "Profile And Settings/Follower/FansList": "Date UserName",
    "TikTok Shop/Saved Address Information/SavedAddress": "receiver_name masked_phone_number adress_info",
    "Your Activity/Login History/LoginHistoryList": "Date IP DeviceModel DeviceSystem NetworkType Carrier",
    "Your Activity/Searches/SearchList": "Date SearchTerm",
    "Your Activity/Watch History/VideoList": "Date Link Title",
}
# Contents, first and last row against SQL: path, SQL of the ordered rows as (date in ms, second column), keys of both.
ORDERED = [
    (
        "Your Activity/Watch History/VideoList",
        "select watched_at, title from watch_history where user_id = :me order by watched_at desc, id desc",
        ("Date", "Title"),
        DAY,
    ),
    (
        "Your Activity/Searches/SearchList",
        "select searched_at, term from searches where user_id = :me order by searched_at desc, id desc",
        ("Date", "SearchTerm"),
        DAY,
    ),
    (
        "Comment/Comments/CommentsList",
        "select commented_at, words from comments where user_id = :me order by commented_at desc, id desc",
        ("date", "comment"),
        DAY + " UTC",
    ),
    (
        "Your Activity/Login History/LoginHistoryList",
        "select at_seconds * 1000, ip from logins where user_id = :me order by at_seconds desc, id desc",
        ("Date", "IP"),
        DAY,
    ),
]
# Text files of one-line facts, whose blocks can be counted.
BLOCKS = {
    "TikTok/Your Activity/Watch History.txt": f"select count(*) from watch_history {MINE}",
    "TikTok/Your Activity/Login History.txt": f"select count(*) from logins {MINE}",
    "TikTok/Likes and Favorites/Like List.txt": f"select count(*) from likes {MINE}",
    "TikTok/Profile And Settings/Follower.txt": "select count(*) from follows where followee_id = :me",
}
NOTHING = "You have no data in this section"


def readers(check, path, what):
    """Three programs and one library of others must find the archive whole."""
    for command in (["unzip", "-tq"], ["7z", "t", "-bso0", "-bsp0"], ["bsdtar", "-tf"]):
        if not check(shutil.which(command[0]), f"{what}: {command[0]} is installed"):
            continue
        done = subprocess.run([*command, str(path)], capture_output=True, timeout=300, stdin=subprocess.DEVNULL)
        check(done.returncode == 0 and not done.stderr, f"{what}: {' '.join(command)}", (done.returncode, done.stderr[-300:]))
    # A streaming reader sees only the local headers.
    with open(path, "rb") as stream:
        done = subprocess.run(["bsdtar", "-xOf", "-"], stdin=stream, capture_output=True, timeout=300)
    check(done.returncode == 0 and not done.stderr, f"{what}: bsdtar from a pipe", done.stderr[-300:])
    with zipfile.ZipFile(path) as archive:
        check.equal(archive.testzip(), None, f"{what}: Python's zipfile")
        for info in archive.infolist():
            check(info.flag_bits & 0x1 == 0, f"{what}: {info.filename} is not encrypted")
            check(not info.extra or b"\x01\x00" not in info.extra[:2], f"{what}: {info.filename} has no ZIP64 field", info.extra)
            check(not info.filename.startswith("/") and ".." not in info.filename, f"{what}: a plain name", info.filename)
            check(info.filename.isascii() or info.flag_bits & 0x800, f"{what}: the name's encoding is told", info.filename)


def find(tree, path):
    for step in path.split("/"):
        if not isinstance(tree, dict) or step not in tree:
            return KeyError
        tree = tree[step]
    return tree


def length(path, found):
    if path in GROUPED:
        return sum(len(rows) for rows in (found or {}).values())
    return len(found or [])


def document(check, tree, clips, me, what):
    """Every section of the document against the database."""

    def count(sql):
        return clips.execute(sql, {"me": me}).fetchone()[0]

    for path, empty, sql in ROWS:
        found = find(tree, path)
        if not check(found is not KeyError, f"{what}: {path} is there"):
            continue
        wanted = count(sql)
        check.equal(length(path, found), wanted, f"{what}: rows of {path}")
        if wanted == 0:
            check.equal(found, empty, f"{what}: {path} when empty")
        if path in KEYS and found:
            keys = " ".join(KEYS[path].replace("|", " ").split())
            wanted_keys = KEYS[path].split("|")
            wanted_keys = wanted_keys[0].split() + wanted_keys[1:]
            check.equal(list(found[0]), wanted_keys, f"{what}: keys of {path} ({keys[:20]}...)")
    for path, value in CONSTANTS:
        found = find(tree, path)
        check(type(found) is type(value) and found == value, f"{what}: {path} is {value!r}", found)
    for path, sql, (date, word), form in ORDERED:
        rows = clips.execute(sql, {"me": me}).fetchall()
        found = find(tree, path) or []
        for index in {0, len(rows) // 2, len(rows) - 1} if rows and len(found) == len(rows) else ():
            at = datetime.datetime(1970, 1, 1) + datetime.timedelta(milliseconds=rows[index][0] // 1000 * 1000)
            seen = (found[index].get(date), found[index].get(word))
            check.equal(seen, (at.strftime(form), rows[index][1]), f"{what}: row {index} of {path}")
    name, region = clips.execute("select display_name, region from users where id = :me", {"me": me}).fetchone()
    profile = find(tree, "Profile And Settings/Profile Info/ProfileMap")
    check.equal((profile.get("displayName"), profile.get("accountRegion")), (name, region), f"{what}: the profile")
    check.equal(profile.get("followerCount"), count("select count(*) from follows where followee_id = :me"), f"{what}: followers")
    settings = find(tree, "Profile And Settings/Settings/SettingsMap")
    check.equal(len(settings), 25, f"{what}: 25 settings")
    filters = settings["Content Preferences"]["Keyword filters for videos in Following feed"]
    check(isinstance(filters, list), f"{what}: keyword filters are a list, never null", filters)
    check.equal(len(find(tree, "TikTok Live/Go Live Settings/SettingsMap")), 11, f"{what}: 11 live settings")
    check.equal(len(find(tree, "Profile And Settings/Autofill")), 10, f"{what}: 10 autofill facts")
    interests = find(tree, "Your Activity/Ad Interests/AdInterestCategories")
    check(isinstance(interests, str), f"{what}: ad interests are one string", interests)


def texts(check, path, clips, me, what):
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        for name in names:
            text = archive.read(name).decode("utf-8")
            check("\r" not in text.replace("\r\n", ""), f"{what}: line ends of {name}")
            check(text.strip(), f"{what}: {name} says something")
        for name, sql in BLOCKS.items():
            if not check(name in names, f"{what}: {name} is there", names[:60]):
                continue
            text = archive.read(name).decode("utf-8")
            wanted = clips.execute(sql, {"me": me}).fetchone()[0]
            if wanted == 0:
                section = name.rpartition("/")[2].removesuffix(".txt")
                check.equal(text.split("\n")[:3], [f"{section}:", "", NOTHING], f"{what}: {name} when empty")
                continue
            blocks = [block for block in re.split(r"\n\s*\n", text.strip()) if re.match(r"Date: \d{4}-\d\d-\d\d", block)]
            check.equal(len(blocks), wanted, f"{what}: blocks of {name}")
            first = blocks[0].split("\n")[0] if blocks else ""
            check(re.fullmatch(r"Date: \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", first), f"{what}: dates in {name}", first)


def open_clips(folder):
    found = sorted(pathlib.Path(folder).rglob("clips.db"))
    if not found:
        raise AssertionError(f"no clips.db below {folder}")
    return sqlite3.connect(f"file:{found[0]}?mode=ro", uri=True)


def subject(clips, username):
    row = clips.execute("select id from users where username = ?", (username,)).fetchone()
    if not row:
        raise AssertionError(f"no user {username!r} on the platform")
    return row[0]


def fetch(dev, person, data_format, path):
    token = kit.tokens(dev, person=person)["access_token"]

    def post(call, body, fields=""):
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        return kit.call(dev.base, "POST", f"/v2/user/data/{call}/{fields}", headers, json.dumps(body), timeout=120)

    added = post("add", {"data_format": data_format, "category_selection_list": ["all_data"]}, "?fields=request_id")
    request_id = {"request_id": added.json["data"]["request_id"]}
    for _ in range(600):
        status = post("check", request_id, "?fields=status").json["data"]["status"]
        if status != "pending":
            break
        time.sleep(0.2)
    answer = post("download", request_id)
    if answer.status != 200:
        raise AssertionError(f"status {status}, download {answer!r}\n{dev.log()[-2000:]}")
    path.write_bytes(answer.body)


def through_a_server(check):
    with tempfile.TemporaryDirectory(prefix="portward-archives-") as folder, kit.Dev() as dev:
        clips = open_clips(dev.data_dir)
        populated = {}
        for size in ("empty", "typical", "heavy"):
            person = dev.person(size)
            me = subject(clips, person["username"])

            def as_json(path=pathlib.Path(folder) / f"{size}-json.zip"):
                fetch(dev, person, "json", path)
                readers(check, path, size)
                with zipfile.ZipFile(path) as archive:
                    check.equal(archive.namelist(), ["user_data_tiktok.json"], f"{size}: one member")
                    tree = json.loads(archive.read("user_data_tiktok.json"))
                document(check, tree, clips, me, size)
                for section, _, _ in ROWS:
                    if length(section, find(tree, section)):
                        populated.setdefault(size, set()).add(section)

            def as_text(path=pathlib.Path(folder) / f"{size}-text.zip"):
                fetch(dev, person, "text", path)
                readers(check, path, f"{size} as text")
                texts(check, path, clips, me, f"{size} as text")

            check.attempt(f"{size}, JSON", as_json)
            check.attempt(f"{size}, text", as_text)
        check.section("what the demo platform shows")
        everything = {path for path, _, _ in ROWS}
        fullest = max(populated.values(), key=len, default=set())
        check.equal(sorted(everything - fullest), [], "one person has rows in every section")
        clips.close()


def as_demo_left_it(check, folder):
    path = pathlib.Path(folder) / "archive.zip"

    def look():
        readers(check, path, "demo")
        clips = open_clips(folder)
        with zipfile.ZipFile(path) as archive:
            tree = json.loads(archive.read("user_data_tiktok.json"))
        username = find(tree, "Profile And Settings/Profile Info/ProfileMap")["userName"]
        document(check, tree, clips, subject(clips, username), f"demo, {username}")
        clips.close()

    check.attempt("the demo's archive", look)


def main():
    check = kit.Checks("archives")
    if len(sys.argv) > 1:
        as_demo_left_it(check, sys.argv[1])
    else:
        through_a_server(check)
    check.finish()


if __name__ == "__main__":
    main()
