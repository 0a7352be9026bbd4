//! The SQL of grants, codes and tokens.

use wire::{Scope, ScopeSet};

use super::{Bearer, EndCause, Grant, Held, TokenKind};
use crate::Fault;
use crate::clock::Millis;
use crate::db::{Tx, sql};
use crate::ids::TokenHash;
use crate::quotas::RequestType;

#[derive(sqlx_macros::FromRow)]
pub(super) struct CodeRow {
    pub(super) grant_id: i64,
    pub(super) app_id: i64,
    pub(super) redirect_uri: String,
    pub(super) challenge: Option<String>,
    pub(super) expires_at: Millis,
    pub(super) used_at: Option<Millis>,
}

#[derive(sqlx_macros::FromRow)]
pub(super) struct TokenRow {
    pub(super) kind: TokenKind,
    pub(super) app_id: i64,
    pub(super) grant_id: Option<i64>,
    pub(super) expires_at: Millis,
    pub(super) replaced_at: Option<Millis>,
    pub(super) successor: Option<Vec<u8>>,
}

/// The name by which a holder knows a person: the one there is, or else the fresh one.
pub(super) async fn pseudonym(
    tx: &mut Tx,
    kind: &'static str,
    holder_id: i64,
    person_id: i64,
    fresh: &str,
) -> Result<String, Fault> {
    sql!(
        tx,
        execute,
        "insert into pseudonyms (kind, holder_id, person_id, pseudonym) values ($1, $2, $3, $4) on conflict do nothing",
        kind,
        holder_id,
        person_id,
        fresh.to_owned(),
    )?;
    let pseudonym = sql!(
        tx,
        value String,
        "select pseudonym from pseudonyms where kind = $1 and holder_id = $2 and person_id = $3",
        kind,
        holder_id,
        person_id,
    )?;
    Ok(pseudonym)
}

pub(super) async fn union_id(tx: &mut Tx, app_id: i64, person_id: i64) -> Result<Option<String>, Fault> {
    let row = sql!(
        tx,
        found String,
        "select pseudonym
         from pseudonyms
         join apps on apps.owner_id = pseudonyms.holder_id
         where apps.app_id = $1 and kind = 'union_id' and person_id = $2",
        app_id,
        person_id,
    )?;
    Ok(row)
}

pub(super) async fn insert(tx: &mut Tx, grant: &Grant, scopes: &ScopeSet) -> Result<(), Fault> {
    sql!(
        tx,
        execute,
        "insert into grants (grant_id, app_id, person_id, open_id, created_at, touched_at) values ($1, $2, $3, $4, $5, $5)",
        grant.grant_id,
        grant.app_id,
        grant.person_id,
        grant.open_id.clone(),
        grant.created_at,
    )?;
    for (position, scope) in (0i32..).zip(scopes.iter()) {
        sql!(
            tx,
            execute,
            "insert into grant_scopes (grant_id, scope, position) values ($1, $2, $3)",
            grant.grant_id,
            scope.as_str().to_owned(),
            position,
        )?;
    }
    Ok(())
}

/// The grant of that id, ended ones included.
pub async fn by_id(tx: &mut Tx, grant_id: i64) -> Result<Option<Grant>, Fault> {
    Ok(sql!(tx, optional Grant, "select * from grants where grant_id = $1", grant_id)?)
}

#[derive(sqlx_macros::FromRow)]
struct Pseudonyms {
    pseudonyms_sealed: Option<Vec<u8>>,
}

/// The sealed secret of a grant's pseudonyms, if it was ever needed.
pub(super) async fn pseudonym_secret(tx: &mut Tx, grant_id: i64) -> Result<Option<Vec<u8>>, Fault> {
    let row = sql!(tx, optional Pseudonyms, "select pseudonyms_sealed from grants where grant_id = $1", grant_id)?;
    Ok(row.and_then(|row| row.pseudonyms_sealed))
}

/// Puts the secret in the place of the one that was read, if that is still there.
pub(super) async fn set_pseudonym_secret(
    tx: &mut Tx,
    grant_id: i64,
    before: Option<Vec<u8>>,
    sealed: Vec<u8>,
) -> Result<(), Fault> {
    match before {
        Some(before) => sql!(
            tx,
            execute,
            "update grants set pseudonyms_sealed = $3 where grant_id = $1 and pseudonyms_sealed = $2",
            grant_id,
            before,
            sealed,
        )?,
        None => sql!(
            tx,
            execute,
            "update grants set pseudonyms_sealed = $2 where grant_id = $1 and pseudonyms_sealed is null",
            grant_id,
            sealed,
        )?,
    };
    Ok(())
}

#[derive(sqlx_macros::FromRow)]
pub(super) struct SealedPseudonyms {
    pub(super) grant_id: i64,
    pub(super) pseudonyms_sealed: Vec<u8>,
}

/// The next secrets after a grant.
pub(super) async fn all_pseudonym_secrets(tx: &mut Tx, after: i64) -> Result<Vec<SealedPseudonyms>, Fault> {
    Ok(sql!(
        tx,
        all SealedPseudonyms,
        "select grant_id, pseudonyms_sealed from grants
         where grant_id > $1 and pseudonyms_sealed is not null
         order by grant_id
         limit 500",
        after,
    )?)
}

/// Locks a live grant for the rest of the transaction: two calls on one grant go one after the other. `false` if it has ended.
pub(crate) async fn touch(tx: &mut Tx, grant_id: i64, now: Millis) -> Result<bool, Fault> {
    let touched = sql!(tx, execute, "update grants set touched_at = $2 where grant_id = $1 and ended_at is null", grant_id, now)?;
    Ok(touched == 1)
}

/// The scopes of a grant, in the order they were asked for.
pub async fn held(tx: &mut Tx, grant_id: i64) -> Result<Vec<Held>, Fault> {
    let rows = sql!(
        tx,
        all(String, Option<i64>),
        "select scope, spent_on from grant_scopes where grant_id = $1 order by position",
        grant_id,
    )?;
    let read = |(scope, spent_on): (String, Option<i64>)| {
        let scope = Scope::parse(&scope).map_err(|_| Fault::Row("a scope".into()))?;
        Ok(Held { scope, spent: spent_on.is_some() })
    };
    rows.into_iter().map(read).collect()
}

/// The live grants of a person, the newest first.
pub async fn live_of_person(tx: &mut Tx, person_id: i64) -> Result<Vec<Grant>, Fault> {
    Ok(sql!(
        tx,
        all Grant,
        "select *
         from grants
         where person_id = $1 and ended_at is null
         order by created_at desc, grant_id",
        person_id,
    )?)
}

/// People with a live grant of an app.
pub(crate) async fn live_of_app(tx: &mut Tx, app_id: i64, limit: i64) -> Result<Vec<i64>, Fault> {
    Ok(sql!(
        tx,
        values i64,
        "select distinct person_id from grants where app_id = $1 and ended_at is null order by person_id limit $2",
        app_id,
        limit,
    )?)
}

/// The people with a live grant of an app for whom an owner has no name yet.
pub(super) async fn nameless(tx: &mut Tx, app_id: i64, owner_id: i64) -> Result<Vec<i64>, Fault> {
    Ok(sql!(
        tx,
        values i64,
        "select distinct person_id
         from grants
         where app_id = $1 and ended_at is null
           and not exists (select 1 from pseudonyms
                           where kind = 'union_id' and holder_id = $2 and pseudonyms.person_id = grants.person_id)
         order by person_id",
        app_id,
        owner_id,
    )?)
}

/// The apps that hold a live grant of a person.
pub async fn apps_of(tx: &mut Tx, person_id: i64) -> Result<Vec<i64>, Fault> {
    let rows = sql!(
        tx,
        values i64,
        "select distinct app_id from grants where person_id = $1 and ended_at is null order by app_id",
        person_id,
    )?;
    Ok(rows)
}

pub(super) async fn live_of_pair(tx: &mut Tx, app_id: i64, person_id: i64) -> Result<Vec<i64>, Fault> {
    let rows = sql!(
        tx,
        values i64,
        "select grant_id
         from grants
         where person_id = $1 and app_id = $2 and ended_at is null
         order by created_at desc, grant_id",
        person_id,
        app_id,
    )?;
    Ok(rows)
}

pub(super) async fn exchanged(tx: &mut Tx, grant_id: i64, now: Millis) -> Result<(), Fault> {
    sql!(tx, execute, "update grants set exchanged_at = $2 where grant_id = $1", grant_id, now)?;
    Ok(())
}

/// Ends a live grant; its tokens are dead with it. `false` if it had ended before.
pub(super) async fn end(tx: &mut Tx, grant_id: i64, cause: EndCause, now: Millis) -> Result<bool, Fault> {
    let ended = sql!(
        tx,
        execute,
        "update grants set ended_at = $2, end_cause = $3, touched_at = $2 where grant_id = $1 and ended_at is null",
        grant_id,
        now,
        cause,
    )?;
    Ok(ended == 1)
}

pub(super) async fn insert_code(
    tx: &mut Tx,
    hash: TokenHash,
    grant_id: i64,
    redirect_uri: &str,
    challenge: Option<&str>,
    expires_at: Millis,
) -> Result<(), Fault> {
    sql!(
        tx,
        execute,
        "insert into codes (code_hash, grant_id, redirect_uri, challenge, expires_at) values ($1, $2, $3, $4, $5)",
        hash,
        grant_id,
        redirect_uri.to_owned(),
        challenge.map(ToOwned::to_owned),
        expires_at,
    )?;
    Ok(())
}

pub(super) async fn code(tx: &mut Tx, hash: TokenHash) -> Result<Option<CodeRow>, Fault> {
    Ok(sql!(
        tx,
        optional CodeRow,
        "select codes.grant_id, grants.app_id, redirect_uri, challenge, expires_at, used_at
         from codes
         join grants on grants.grant_id = codes.grant_id
         where code_hash = $1",
        hash,
    )?)
}

pub(super) async fn use_code(tx: &mut Tx, hash: TokenHash, now: Millis) -> Result<(), Fault> {
    sql!(tx, execute, "update codes set used_at = $2 where code_hash = $1", hash, now)?;
    Ok(())
}

pub(super) async fn insert_token(
    tx: &mut Tx,
    hash: TokenHash,
    kind: TokenKind,
    app_id: i64,
    grant_id: Option<i64>,
    now: Millis,
    expires_at: Millis,
) -> Result<(), Fault> {
    sql!(
        tx,
        execute,
        "insert into tokens (token_hash, kind, app_id, grant_id, created_at, expires_at) values ($1, $2, $3, $4, $5, $6)",
        hash,
        kind,
        app_id,
        grant_id,
        now,
        expires_at,
    )?;
    Ok(())
}

pub(super) async fn token(tx: &mut Tx, hash: TokenHash) -> Result<Option<TokenRow>, Fault> {
    Ok(sql!(
        tx,
        optional TokenRow,
        "select kind, app_id, grant_id, expires_at, replaced_at, successor from tokens where token_hash = $1",
        hash,
    )?)
}

pub(super) async fn replace_token(tx: &mut Tx, hash: TokenHash, now: Millis) -> Result<bool, Fault> {
    let replaced =
        sql!(tx, execute, "update tokens set replaced_at = $2 where token_hash = $1 and replaced_at is null", hash, now)?;
    Ok(replaced == 1)
}

pub(super) async fn set_successor(tx: &mut Tx, hash: TokenHash, sealed: Vec<u8>) -> Result<(), Fault> {
    sql!(tx, execute, "update tokens set successor = $2 where token_hash = $1", hash, sealed)?;
    Ok(())
}

pub(super) async fn delete_token(tx: &mut Tx, hash: TokenHash) -> Result<(), Fault> {
    sql!(tx, execute, "delete from tokens where token_hash = $1", hash)?;
    Ok(())
}

pub(super) async fn bearer(
    tx: &mut Tx,
    hash: TokenHash,
    request_type: RequestType,
    now: Millis,
) -> Result<Option<Bearer>, Fault> {
    Ok(sql!(
        tx,
        optional Bearer,
        "select grants.grant_id, grants.app_id, grants.person_id, grants.open_id, apps.status as app_status, people.region,
                quota_overrides.per_minute
         from tokens
         join grants on grants.grant_id = tokens.grant_id
         join apps on apps.app_id = grants.app_id
         join people on people.person_id = grants.person_id
         left join quota_overrides on quota_overrides.app_id = grants.app_id and quota_overrides.request_type = $2
         where token_hash = $1 and tokens.kind = 'access' and tokens.expires_at > $3 and grants.ended_at is null
           and apps.deleted_at is null",
        hash,
        request_type,
        now,
    )?)
}

/// Live grants that nobody can use: their code ran out before `unexchanged_since`, or all their tokens did.
pub(super) async fn idle(tx: &mut Tx, unexchanged_since: Millis, now: Millis) -> Result<Vec<i64>, Fault> {
    Ok(sql!(
        tx,
        values i64,
        "select grant_id
         from grants
         where ended_at is null
           and (exchanged_at is null and created_at <= $1
                or exchanged_at is not null
                   and not exists (select 1 from tokens
                                   where tokens.grant_id = grants.grant_id and tokens.expires_at > $2 and tokens.replaced_at is null))
         order by grant_id
         limit 1000",
        unexchanged_since,
        now,
    )?)
}

/// Whether one grant is [`idle`]; if so, whether its code was ever exchanged.
pub(super) async fn is_idle(tx: &mut Tx, grant_id: i64, unexchanged_since: Millis, now: Millis) -> Result<Option<bool>, Fault> {
    let found = sql!(
        tx,
        found Option<Millis>,
        "select exchanged_at
         from grants
         where grant_id = $1 and ended_at is null
           and (exchanged_at is null and created_at <= $2
                or exchanged_at is not null
                   and not exists (select 1 from tokens
                                   where tokens.grant_id = grants.grant_id and tokens.expires_at > $3 and tokens.replaced_at is null))",
        grant_id,
        unexchanged_since,
        now,
    )?;
    Ok(found.map(|exchanged_at| exchanged_at.is_some()))
}

/// Spends single scopes on a request. `false` if one was spent already: then the transaction must not go on.
pub(crate) async fn spend_on(tx: &mut Tx, grant_id: i64, scopes: &[Scope], request_id: i64) -> Result<bool, Fault> {
    for scope in scopes {
        let spent = sql!(
            tx,
            execute,
            "update grant_scopes set spent_on = $3 where grant_id = $1 and scope = $2 and spent_on is null",
            grant_id,
            scope.as_str().to_owned(),
            request_id,
        )?;
        if spent != 1 {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Gives back what a request spent (`client-rules.md` 32).
pub(crate) async fn give_back(tx: &mut Tx, request_id: i64) -> Result<(), Fault> {
    sql!(tx, execute, "update grant_scopes set spent_on = null where spent_on = $1", request_id)?;
    Ok(())
}

/// Deletes sessions, codes and tokens past their time, and grants that ended before `before` and that no request names.
pub(super) async fn forget(tx: &mut Tx, now: Millis, grace: Millis, before: Millis) -> Result<u64, Fault> {
    let mut gone = 0;
    gone += sql!(tx, execute, "delete from sessions where expires_at <= $1", now)?;
    gone += sql!(tx, execute, "update tokens set successor = null where successor is not null and replaced_at < $1", grace)?;
    gone += sql!(tx, execute, "delete from tokens where expires_at <= $1", now)?;
    // A used code is kept as long as its grant lives, so that a replay is noticed.
    gone += sql!(
        tx,
        execute,
        "delete from codes
         where expires_at <= $1 and grant_id in (select grant_id from grants where ended_at is not null)",
        now,
    )?;
    for statement in [
        "delete from tokens where grant_id in
           (select grant_id from grants
            where ended_at <= $1 and not exists (select 1 from requests where requests.grant_id = grants.grant_id))",
        "delete from codes where grant_id in
           (select grant_id from grants
            where ended_at <= $1 and not exists (select 1 from requests where requests.grant_id = grants.grant_id))",
        "delete from grant_scopes where grant_id in
           (select grant_id from grants
            where ended_at <= $1 and not exists (select 1 from requests where requests.grant_id = grants.grant_id))",
        "delete from grants
         where ended_at <= $1 and not exists (select 1 from requests where requests.grant_id = grants.grant_id)",
    ] {
        gone += sql!(tx, execute, statement, before)?;
    }
    Ok(gone)
}
