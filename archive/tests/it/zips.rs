//! Tests of zips.
