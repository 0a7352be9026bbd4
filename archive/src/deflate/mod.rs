//! DEFLATE (RFC 1951) in pieces.
//!
//! A member's bytes are cut every [`PIECE`] bytes. Each piece is compressed by itself, with the 32 KiB before it as history, and ends at a
//! byte's end, so that the pieces, one after another, are one stream; whoever compresses them, and in which order, makes the same
//! bytes. [`Window`] is a piece with its history, [`Packer`] compresses it: at level 1 by our own encoder, above by zlib.

mod bits;
mod block;
mod encoder;
mod huffman;
mod packer;
mod symbols;
#[cfg(test)]
mod tests;
mod window;

pub use self::packer::{Level, Packer};
pub use self::window::{PIECE, Window};
