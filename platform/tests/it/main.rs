//! The rules and their rows, on both engines: every test of a store runs on SQLite and on PostgreSQL.

extern crate portward_platform as platform;

mod access_log;
mod account_safety;
mod accounts;
mod app_review;
mod app_review_late;
mod applications;
mod applications_draft;
mod apps;
mod attacks;
mod audit;
mod audit_chain;
mod clocks;
mod exports;
mod forms;
mod freezes;
mod grants;
mod jobs;
mod keys;
mod notices;
mod orders;
mod organisations;
mod people;
mod properties;
mod pseudonyms;
mod requests;
mod signing;
mod store;
mod support;
mod tickets;
mod uploads;
mod webhook_log;
mod webhooks;
