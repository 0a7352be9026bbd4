//! The calls that answer at once. Each is sent once: what to do about a failure is the caller's to decide, except in
//! `wait` and `download`, where trying again is harmless.

use reqwest::{RequestBuilder, Response};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use url::Url;
use wire::{Added, Answer, Checked, ClientTokenAnswer, DataFormat, RequestId, TokenAnswer, User};

use crate::error::Head;
use crate::{Client, Error, Pkce};

/// Answers are a few hundred bytes; whatever sends more is not this API.
const MOST: usize = 1 << 20;

impl Client {
    /// Trades a code for tokens. `redirect_uri` and `pkce` as they were in the address that the person was sent to.
    pub async fn exchange(&self, code: &str, redirect_uri: &str, pkce: Option<&Pkce>) -> Result<TokenAnswer, Error> {
        let mut form = vec![("grant_type", "authorization_code"), ("code", code), ("redirect_uri", redirect_uri)];
        form.extend(pkce.map(|pkce| ("code_verifier", pkce.verifier())));
        self.oauth("v2/oauth/token/", &form).await
    }

    /// Trades a refresh token for new tokens. Keep the new refresh token: the old one is dead, and using it again ends them all.
    pub async fn refresh(&self, refresh_token: &str) -> Result<TokenAnswer, Error> {
        self.oauth("v2/oauth/token/", &[("grant_type", "refresh_token"), ("refresh_token", refresh_token)]).await
    }

    /// A token of the app itself, which can do nothing with people's data.
    pub async fn client_token(&self) -> Result<ClientTokenAnswer, Error> {
        self.oauth("v2/oauth/token/", &[("grant_type", "client_credentials")]).await
    }

    /// Gives access back: the token, its siblings and its grant end.
    pub async fn revoke(&self, access_token: &str) -> Result<(), Error> {
        // The contract allows an empty body as well as `{}`.
        self.post_form("v2/oauth/revoke/", &[("token", access_token)]).await.map(drop)
    }

    /// Who the person is: the fields that were asked for and allowed, such as `open_id` and `display_name`.
    pub async fn user_info(&self, access_token: &str, fields: &[&str]) -> Result<Map<String, Value>, Error> {
        let request = self.http.get(self.url("v2/user/info/", Some(&fields.join(",")))).bearer_auth(access_token);
        Ok(self.data::<User>(request).await?.user)
    }

    /// Asks for an archive of these categories. When this fails without an answer the request may have been made all the
    /// same; see [`Client::add_once`].
    pub async fn add(&self, access_token: &str, format: DataFormat, categories: &[&str]) -> Result<RequestId, Error> {
        self.send_add(access_token, format, categories, None).await
    }

    /// Asks for an archive under a key of yours (fresh for each new wish, say [`random_state`](crate::random_state)): the
    /// same call sent again with the same key gives the same request, so that it can be repeated after a lost answer.
    pub async fn add_once(
        &self,
        access_token: &str,
        format: DataFormat,
        categories: &[&str],
        key: &str,
    ) -> Result<RequestId, Error> {
        self.send_add(access_token, format, categories, Some(key)).await
    }

    async fn send_add(
        &self,
        access_token: &str,
        format: DataFormat,
        categories: &[&str],
        key: Option<&str>,
    ) -> Result<RequestId, Error> {
        let body = json!({ "data_format": format, "category_selection_list": categories });
        let mut request = self.post_json("v2/user/data/add/", Some("request_id"), access_token, &body);
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        Ok(self.data::<Added>(request).await?.request_id)
    }

    /// How a request stands: every field there is.
    pub async fn check(&self, access_token: &str, id: RequestId) -> Result<Checked, Error> {
        let fields = "request_id,apply_time,collect_time,status,data_format,category_selection_list";
        self.data(self.post_json("v2/user/data/check/", Some(fields), access_token, &json!({ "request_id": id }))).await
    }

    /// Cancels a request. A single scope that it used does not come back.
    pub async fn cancel(&self, access_token: &str, id: RequestId) -> Result<(), Error> {
        let request = self.post_json("v2/user/data/cancel/", None, access_token, &json!({ "request_id": id }));
        let (head, body) = self.answer(request).await?;
        let _: Answer<Value> = serde_json::from_slice(&body).map_err(|_| head.unexpected(&body))?;
        Ok(())
    }

    pub(crate) fn post_json(&self, path: &str, fields: Option<&str>, access_token: &str, body: &Value) -> RequestBuilder {
        self.http.post(self.url(path, fields)).bearer_auth(access_token).json(body)
    }

    async fn data<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, Error> {
        let (head, body) = self.answer(request).await?;
        let answer: Option<Answer<T>> = serde_json::from_slice(&body).ok();
        answer.and_then(|answer| answer.data).ok_or_else(|| head.unexpected(&body))
    }

    async fn oauth<T: DeserializeOwned>(&self, path: &str, form: &[(&str, &str)]) -> Result<T, Error> {
        let (head, body) = self.post_form(path, form).await?;
        // Not `unexpected`: its text would carry the beginning of a token into a log.
        let what = "the answer lacks some of the documented fields".to_owned();
        serde_json::from_slice(&body).map_err(|_| Error::Unexpected { status: head.status.as_u16(), what })
    }

    async fn post_form(&self, path: &str, form: &[(&str, &str)]) -> Result<(Head, Vec<u8>), Error> {
        let own = [("client_key", self.key.as_str()), ("client_secret", self.secret.as_str())];
        let form: Vec<_> = own.iter().chain(form).copied().collect();
        self.answer(self.http.post(self.url(path, None)).form(&form)).await
    }

    /// Head and body of an answer that is not an error.
    async fn answer(&self, request: RequestBuilder) -> Result<(Head, Vec<u8>), Error> {
        let mut response = request.timeout(self.call_timeout).send().await?;
        let head = Head::of(&response);
        let body = read(&mut response).await?;
        match head.error(&body) {
            Some(error) => Err(error),
            None => Ok((head, body)),
        }
    }

    fn url(&self, path: &str, fields: Option<&str>) -> Url {
        let mut url = self.base.clone();
        url.set_path(&format!("{}{path}", self.base.path()));
        if let Some(fields) = fields {
            url.query_pairs_mut().append_pair("fields", fields);
        }
        url
    }
}

/// A whole body, unless it is larger than any answer can be.
pub(crate) async fn read(response: &mut Response) -> Result<Vec<u8>, Error> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > MOST {
            let what = format!("a body of more than {MOST} bytes");
            return Err(Error::Unexpected { status: response.status().as_u16(), what });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}
