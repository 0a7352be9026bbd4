//! Tests of trouble.
