//! Reads the files that flags name.

use std::fs::{self, File, Metadata};
use std::io::Read as _;
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::path::Path;

use rustix::fs::OFlags;

/// The largest settings file that is read, in bytes: thousands of callers, or every authority that browsers trust.
pub const MAX_FILE_BYTES: u64 = 1 << 20;

/// Why a file cannot be read. It repeats nothing of what is in it.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// Reading it could wait forever, never end, or take bytes away from another reader.
    #[error("it is {0}; a regular file is expected")]
    NotRegular(&'static str),
    #[error("it is larger than {} MiB; the wrong file?", .max_bytes >> 20)]
    TooLarge { max_bytes: u64 },
    #[error("it is not UTF-8 text")]
    NotText,
}

/// The contents of a regular file, or of the one that a link leads to, if it has at most this many bytes.
///
/// It never waits for another process, and reads no further than the limit however much the file grows.
pub fn read_file(path: &Path, max_bytes: u64) -> Result<Vec<u8>, FileError> {
    // Checked before it is opened: opening a device can have effects, and a socket cannot be opened.
    check_regular(&fs::metadata(path)?)?;
    // The path may lead to another file by now. Without O_NONBLOCK, opening a FIFO waits for a writer.
    let flags = (OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed();
    let file = File::options().read(true).custom_flags(flags).open(path)?;
    let metadata = file.metadata()?;
    check_regular(&metadata)?;
    let mut bytes = Vec::new();
    bytes.reserve_exact(usize::try_from(metadata.len().min(max_bytes)).unwrap_or_default() + 1);
    // One byte more than allowed, since the size in the metadata can be out of date, or 0 as in /proc.
    file.take(max_bytes + 1).read_to_end(&mut bytes)?;
    match bytes.len() as u64 > max_bytes {
        true => Err(FileError::TooLarge { max_bytes }),
        false => Ok(bytes),
    }
}

fn check_regular(metadata: &Metadata) -> Result<(), FileError> {
    let kind = metadata.file_type();
    if kind.is_file() {
        return Ok(());
    }
    Err(FileError::NotRegular(if kind.is_dir() {
        "a directory"
    } else if kind.is_fifo() {
        "a pipe"
    } else if kind.is_socket() {
        "a socket"
    } else {
        "a device"
    }))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    use super::*;

    fn fault(path: &Path) -> String {
        read_file(path, MAX_FILE_BYTES).unwrap_err().to_string()
    }

    #[test]
    fn only_regular_files_are_read_and_links_are_followed() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("file"), "text").unwrap();
        symlink("file", path("link")).unwrap();
        symlink("link", path("link-to-link")).unwrap();
        assert_eq!(read_file(&path("link-to-link"), MAX_FILE_BYTES).unwrap(), b"text");

        let mode = rustix::fs::Mode::RUSR;
        rustix::fs::mknodat(rustix::fs::CWD, path("pipe"), rustix::fs::FileType::Fifo, mode, 0).unwrap();
        let _listener = UnixListener::bind(path("socket")).unwrap();
        symlink("/dev/zero", path("zero")).unwrap();
        symlink("pipe", path("link-to-pipe")).unwrap();
        symlink("loop", path("loop")).unwrap();
        for (name, says) in [
            ("", "it is a directory; a regular file is expected"),
            ("pipe", "it is a pipe; a regular file is expected"),
            ("link-to-pipe", "it is a pipe; a regular file is expected"),
            ("socket", "it is a socket; a regular file is expected"),
            ("zero", "it is a device; a regular file is expected"),
            ("loop", "Too many levels of symbolic links"),
            ("missing", "No such file or directory"),
        ] {
            assert!(fault(&path(name)).starts_with(says), "{name}: {}", fault(&path(name)));
        }
    }

    #[test]
    fn a_file_of_the_largest_size_is_read_and_one_byte_more_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let file = File::create(&path).unwrap();
        file.set_len(MAX_FILE_BYTES).unwrap();
        assert_eq!(read_file(&path, MAX_FILE_BYTES).unwrap().len() as u64, MAX_FILE_BYTES);
        // A sparse file: a terabyte in no blocks.
        for bytes in [MAX_FILE_BYTES + 1, 1 << 40] {
            file.set_len(bytes).unwrap();
            assert_eq!(fault(&path), "it is larger than 1 MiB; the wrong file?");
        }
    }

    #[test]
    fn what_is_read_counts_and_not_the_size_that_the_metadata_names() {
        let path = Path::new("/proc/self/environ");
        if let Ok(metadata) = fs::metadata(path) {
            assert_eq!(metadata.len(), 0);
            assert!(!read_file(path, MAX_FILE_BYTES).unwrap().is_empty());
            assert!(matches!(read_file(path, 1), Err(FileError::TooLarge { .. })));
        }
    }
}
