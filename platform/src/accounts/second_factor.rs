//! The second factor: codes of an authenticator app (RFC 6238), and recovery codes for when it is lost. The secret is sealed by the operator's
//! key; a code works once, because its step is used up.

use totp_rs::{Builder, Secret, Totp};
use zeroize::Zeroizing;

use super::{Account, rows};
use crate::audit::Entry;
use crate::db::Tx;
use crate::notices::{self, Notice};
use crate::{Fault, Platform, ids};

/// Bytes of a secret: as many as the hash has (RFC 4226 4).
const SECRET: usize = 20;
/// How many recovery codes there are.
const CODES: usize = 10;

/// A second factor that is being set up.
#[derive(Debug)]
pub struct Enrolment {
    /// What the authenticator app reads, as an `otpauth:` address.
    pub uri: Zeroizing<String>,
    /// The same secret for typing, in groups of four.
    pub secret: Zeroizing<String>,
}

fn purpose(account_id: i64) -> String {
    format!("totp {account_id}")
}

fn cannot(fault: impl std::fmt::Display) -> Fault {
    Fault::Row(format!("second factor: {fault}"))
}

/// Codes as every authenticator app makes them: SHA-1, six digits, 30 seconds, one step of patience either way.
fn totp(secret: &[u8], issuer: &str, email: &str) -> Result<Totp, Fault> {
    let plain = |text: &str| text.chars().map(|c| if c == ':' || c.is_control() { ' ' } else { c }).collect::<String>();
    Builder::new()
        .with_secret(Secret::new(secret.into()))
        .with_account_name(plain(email))
        .with_issuer(Some(plain(issuer)))
        .build()
        .map_err(cannot)
}

/// Begins to set up a second factor, with a new secret each time: one that was shown to whoever began before is of no use. Does nothing where one
/// is in force.
pub async fn begin_second_factor(platform: &Platform, account: &Account) -> Result<(), Fault> {
    let secret = Zeroizing::new(platform.random.bytes::<SECRET>());
    let sealed = platform.keys.seal(&purpose(account.account_id), secret.as_slice())?;
    let mut tx = platform.db.begin().await?;
    rows::set_totp(&mut tx, account.account_id, sealed).await?;
    tx.commit().await?;
    Ok(())
}

/// What is to be put into the authenticator app, while the second factor is being set up. Not told any more once it is confirmed.
pub async fn enrolment(platform: &Platform, account: &Account, issuer: &str) -> Result<Option<Enrolment>, Fault> {
    let mut tx = platform.db.read().await?;
    let found = rows::totp(&mut tx, account.account_id).await?;
    drop(tx);
    let Some(sealed) = found.filter(|totp| totp.totp_confirmed_at.is_none()).and_then(|totp| totp.totp_sealed) else {
        return Ok(None);
    };
    let secret = platform.keys.unseal(&purpose(account.account_id), &sealed)?;
    let totp = totp(&secret, issuer, &account.email)?;
    let letters: Vec<char> = totp.secret().to_base32().to_string().chars().collect();
    let groups = letters.chunks(4).map(|group| group.iter().collect::<String>()).collect::<Vec<_>>().join(" ");
    Ok(Some(Enrolment { uri: Zeroizing::new(totp.to_url().map_err(cannot)?), secret: Zeroizing::new(groups) }))
}

/// A QR code as an SVG picture, dark on white whatever the page's colours: cameras need it so.
pub fn qr_svg(text: &str) -> Result<String, Fault> {
    let code = qrcode::QrCode::new(text.as_bytes()).map_err(cannot)?;
    Ok(code.render::<qrcode::render::svg::Color<'_>>().min_dimensions(232, 232).build())
}

/// The step of a code that is right now, if it is.
async fn step_of(platform: &Platform, tx: &mut Tx, account: &Account, confirmed: bool, code: &str) -> Result<Option<i64>, Fault> {
    let found = rows::totp(tx, account.account_id).await?;
    let Some(sealed) = found.filter(|totp| totp.totp_confirmed_at.is_some() == confirmed).and_then(|totp| totp.totp_sealed)
    else {
        return Ok(None);
    };
    let secret = platform.keys.unseal(&purpose(account.account_id), &sealed)?;
    let code: String = code.chars().filter(|c| !c.is_whitespace()).take(20).collect();
    let seconds = u64::try_from(platform.now().seconds()).unwrap_or(0);
    let step = totp(&secret, "", &account.email)?.check(&code, seconds);
    Ok(step.and_then(|step| i64::try_from(step).ok()))
}

/// Switches the second factor on, by a first code of it. Every other session ends. Gives the recovery codes, which are not to be had again; none
/// if the code is wrong.
pub async fn confirm_second_factor(
    platform: &Platform,
    account: &Account,
    session_id: i64,
    code: &str,
) -> Result<Option<Vec<String>>, Fault> {
    let now = platform.now();
    let mut tx = platform.db.begin().await?;
    let Some(step) = step_of(platform, &mut tx, account, false, code).await? else { return Ok(None) };
    if !rows::use_step(&mut tx, account.account_id, step).await? || !rows::confirm_totp(&mut tx, account.account_id, now).await? {
        return Ok(None);
    }
    let codes = make_codes(platform, &mut tx, account).await?;
    rows::end_sessions(&mut tx, account.account_id, Some(session_id)).await?;
    audit(platform, &mut tx, account, "account.second_factor_on").await?;
    tell(platform, &mut tx, account, |name, path| Notice::SecondFactorOn { name, path }).await?;
    tx.commit().await?;
    Ok(Some(codes))
}

/// Whether a code is right: one of the authenticator app that was not used before, or a recovery code, which is used up by this.
pub async fn check_code(platform: &Platform, account: &Account, code: &str) -> Result<bool, Fault> {
    let mut tx = platform.db.begin().await?;
    let right = match step_of(platform, &mut tx, account, true, code).await? {
        Some(step) => rows::use_step(&mut tx, account.account_id, step).await?,
        None => {
            let hash = code_hash(account.account_id, code);
            let used = rows::use_recovery_code(&mut tx, account.account_id, hash, platform.now()).await?;
            if used {
                audit(platform, &mut tx, account, "account.recovery_code_used").await?;
            }
            used
        }
    };
    tx.commit().await?;
    Ok(right)
}

/// Makes ten new recovery codes in the place of those there were. They are not to be had again.
pub async fn new_recovery_codes(platform: &Platform, account: &Account) -> Result<Vec<String>, Fault> {
    let mut tx = platform.db.begin().await?;
    let codes = make_codes(platform, &mut tx, account).await?;
    audit(platform, &mut tx, account, "account.recovery_codes_made").await?;
    tell(platform, &mut tx, account, |name, path| Notice::RecoveryCodesRenewed { name, path }).await?;
    tx.commit().await?;
    Ok(codes)
}

/// Switches the second factor off. Who must have one sets up another at once: nothing else opens. Pressed twice, it is told once.
pub async fn drop_second_factor(platform: &Platform, account: &Account) -> Result<(), Fault> {
    let mut tx = platform.db.begin().await?;
    if rows::drop_totp(&mut tx, account.account_id).await? {
        audit(platform, &mut tx, account, "account.second_factor_off").await?;
        let off = |name, path| Notice::SecondFactorOff { name, by_administrator: false, path };
        tell(platform, &mut tx, account, off).await?;
    }
    tx.commit().await?;
    Ok(())
}

/// Tells the holder of an account that somebody, who should be them, changed how one signs in to it. Not a matter of what mail they want.
pub(super) async fn tell(
    platform: &Platform,
    tx: &mut Tx,
    account: &Account,
    what: impl FnOnce(String, String) -> Notice,
) -> Result<(), Fault> {
    let notice = what(account.name.clone(), account.kind.forgot_path().to_owned());
    notices::send(platform, tx, &account.email, Some(account.account_id), notice).await
}

async fn make_codes(platform: &Platform, tx: &mut Tx, account: &Account) -> Result<Vec<String>, Fault> {
    let codes: Vec<String> = (0..CODES)
        .map(|_| {
            let letters: Vec<char> = platform.random.legible(16).chars().collect();
            letters.chunks(4).map(|group| group.iter().collect::<String>()).collect::<Vec<_>>().join("-")
        })
        .collect();
    let hashes = codes.iter().map(|code| code_hash(account.account_id, code)).collect();
    rows::set_recovery_codes(tx, account.account_id, hashes).await?;
    Ok(codes)
}

/// Under which a recovery code is kept: it holds 79 random bits, so that a plain SHA-256 is right.
fn code_hash(account_id: i64, code: &str) -> ids::TokenHash {
    let plain: String = code.chars().filter(char::is_ascii_alphanumeric).take(40).collect();
    ids::hash(&format!("recovery {account_id} {}", plain.to_ascii_lowercase()))
}

async fn audit(platform: &Platform, tx: &mut Tx, account: &Account, action: &str) -> Result<(), Fault> {
    Entry { about: Some(account.account_id), ..Entry::new(account.actor(), action) }
        .write(tx, &platform.random, platform.now())
        .await
}

/// Seals every secret anew that was not sealed by the newest key; gives how many.
pub(super) async fn reseal(platform: &Platform) -> Result<u64, Fault> {
    let (mut done, mut last) = (0, 0);
    loop {
        let mut tx = platform.db.begin().await?;
        let batch = rows::all_totp(&mut tx, last).await?;
        let Some(end) = batch.last() else { return Ok(done) };
        last = end.account_id;
        for row in batch.iter().filter(|row| !platform.keys.is_current(&row.totp_sealed)) {
            let secret = platform.keys.unseal(&purpose(row.account_id), &row.totp_sealed)?;
            let sealed = platform.keys.seal(&purpose(row.account_id), &secret)?;
            rows::reseal_totp(&mut tx, row.account_id, row.totp_sealed.clone(), sealed).await?;
            done += 1;
        }
        tx.commit().await?;
    }
}
