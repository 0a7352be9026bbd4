//! Reading archives.
