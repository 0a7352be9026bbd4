//! What commands print. Whoever reads may stop reading, as `portward admin acts | head` does: a closed pipe is no fault of ours, and neither what a
//! command does nor how it ends depends on who listens. Any other fault of the output, such as a full disk, is told.

use std::fmt;
use std::io::{self, Write};

/// Prints a line.
pub(crate) fn line(words: fmt::Arguments<'_>) -> io::Result<()> {
    put(&mut io::stdout().lock(), words)
}

fn put(out: &mut impl Write, words: fmt::Arguments<'_>) -> io::Result<()> {
    match out.write_fmt(words).and_then(|()| out.write_all(b"\n")).and_then(|()| out.flush()) {
        Err(fault) if fault.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        done => done,
    }
}

/// Prints a line as `println!` does, and gives the fault to the caller's caller where that would panic.
macro_rules! say {
    ($($words:tt)*) => {
        $crate::out::line(format_args!($($words)*))?
    };
}
pub(crate) use say;

#[cfg(test)]
mod tests {
    use super::*;

    struct Broken(io::ErrorKind);

    impl Write for Broken {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn nobody_listening_is_no_fault_and_a_full_disk_is_one() {
        assert!(put(&mut Broken(io::ErrorKind::BrokenPipe), format_args!("x")).is_ok());
        assert_eq!(
            put(&mut Broken(io::ErrorKind::StorageFull), format_args!("x")).unwrap_err().kind(),
            io::ErrorKind::StorageFull
        );
        let mut out = Vec::new();
        put(&mut out, format_args!("{} acts", 7)).unwrap();
        assert_eq!(out, b"7 acts\n");
    }
}
