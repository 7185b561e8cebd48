//! Fetches a file over HTTP, goes on where an earlier attempt stopped, and checks what came.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use pentimento::photo::where_possible;
use pentimento::{Error, Result};
use sha2::{Digest as _, Sha256};
use ureq::http::{Response, StatusCode};
use ureq::tls::{RootCerts, TlsConfig};
use ureq::{Agent, Body};

use super::output::progress;

/// A server that says nothing for so long is taken for gone.
const SILENCE: Duration = Duration::from_secs(30);
/// Attempts in a row that bring no byte before we give up.
const ATTEMPTS: u32 = 3;
/// Where the length is not known beforehand, a file longer than this is refused: no checkpoint of
/// this field is half as long.
const LONGEST: u64 = 8 << 30;

/// What is fetched, and what is known of it.
pub struct Download<'a> {
    pub url: &'a str,
    /// Length in bytes.
    pub bytes: Option<u64>,
    /// SHA-256 in hexadecimal.
    pub sha256: Option<&'a str>,
}

/// The SHA-256, in hexadecimal, of all that is still to be read.
///
/// # Errors
/// Those of reading.
pub fn digest(source: &mut impl Read) -> io::Result<String> {
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match source.read(&mut buffer)? {
            0 => break,
            n => hash.update(buffer.get(..n).unwrap_or_default()),
        }
    }
    Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

impl Download<'_> {
    /// Fetches the file to `path`. What has come so far lies beside it, in `path` + ".part", and
    /// is used by the next attempt. `progress` hears the bytes that are there and the length.
    ///
    /// The certificates are the system's (`SSL_CERT_FILE` is respected), the proxy that of the
    /// environment (`HTTPS_PROXY`, `NO_PROXY`).
    ///
    /// # Errors
    /// [`Error::Io`] when the network or the disk fails, [`Error::Checkpoint`] when what came is
    /// not what was asked for; then nothing of it is kept.
    pub fn fetch(&self, path: &Path, mut progress: impl FnMut(u64, Option<u64>)) -> Result<()> {
        let part = part(path);
        let mut file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .open(&part)
            .map_err(|source| disk(&part, source))?;
        let mut have = file.metadata().map_err(|source| disk(&part, source))?.len();
        if self.bytes.is_some_and(|bytes| have > bytes) {
            have = restart(&mut file, &part)?;
        }
        let agent = agent();
        let mut failures = 0;
        while self.bytes != Some(have) {
            let before = have;
            match self.attempt(&agent, &mut file, &part, &mut have, &mut progress) {
                Ok(()) => break,
                Err(Failure::Final(error)) => return Err(error),
                Err(Failure::Network(source)) => {
                    failures = if have > before { 0 } else { failures + 1 };
                    if failures == ATTEMPTS {
                        return Err(self.network(&source, have));
                    }
                }
            }
        }
        // Under its name the file is whole, also after the power has gone.
        where_possible(file.sync_all()).map_err(|source| disk(&part, source))?;
        drop(file);
        self.check(&part).inspect_err(|_| {
            // A wrong file is of no use to the next attempt either.
            let _ = std::fs::remove_file(&part);
        })?;
        std::fs::rename(&part, path).map_err(|source| disk(path, source))
    }

    /// As [`Download::fetch`], with a progress bar that has this name, unless it shall be quiet.
    ///
    /// # Errors
    /// As [`Download::fetch`].
    pub fn fetch_shown(&self, path: &Path, name: &str, quiet: bool) -> Result<()> {
        let bar = progress(quiet, "{msg} {bar:30} {bytes}/{total_bytes} {bytes_per_sec} {eta}");
        bar.set_message(name.to_owned());
        let result = self.fetch(path, |have, length| {
            if let Some(length) = length {
                bar.set_length(length);
            }
            bar.set_position(have);
        });
        bar.finish_and_clear();
        result
    }

    /// Refuses a file that is not the published one.
    ///
    /// # Errors
    /// [`Error::Io`] when it cannot be read, [`Error::Checkpoint`] when it is another.
    pub fn check(&self, path: &Path) -> Result<()> {
        let read = |source| Error::Io { action: "read", path: path.to_owned(), source };
        let mut file = File::open(path).map_err(read)?;
        let length = file.metadata().map_err(read)?.len();
        let wrong = |what: String| Error::Checkpoint { path: path.to_owned(), what };
        if let Some(bytes) = self.bytes.filter(|&bytes| bytes != length) {
            return Err(wrong(format!("has {length} bytes, the published file has {bytes}")));
        }
        let Some(expected) = self.sha256 else { return Ok(()) };
        let found = digest(&mut file).map_err(read)?;
        if found != expected {
            return Err(wrong(format!(
                "has the SHA-256 {found}, the published file {expected}; it was changed on the way"
            )));
        }
        Ok(())
    }

    /// One request, from byte `have` on. `have` counts what was written.
    fn attempt(
        &self,
        agent: &Agent,
        file: &mut File,
        part: &Path,
        have: &mut u64,
        progress: &mut impl FnMut(u64, Option<u64>),
    ) -> Result<(), Failure> {
        let mut request = agent.get(self.url);
        if *have > 0 {
            request = request.header("Range", format!("bytes={have}-"));
        }
        let mut response = request.call().map_err(|error| Failure::Network(error.into_io()))?;
        match response.status() {
            StatusCode::PARTIAL_CONTENT if range_start(&response) == Some(*have) => {}
            // The server sends all of it, or a part that we did not ask for, or has nothing
            // beyond what is here although more is expected.
            StatusCode::OK | StatusCode::PARTIAL_CONTENT | StatusCode::RANGE_NOT_SATISFIABLE
                if *have > 0 =>
            {
                *have = restart(file, part).map_err(Failure::Final)?;
                if response.status() != StatusCode::OK {
                    return Err(Failure::Network(io::Error::other("the server lost its place")));
                }
            }
            StatusCode::OK => {}
            status if status.is_server_error() => {
                return Err(Failure::Network(io::Error::other(format!("it answered {status}"))));
            }
            status => {
                let what = format!("the server answered {status}");
                return Err(Failure::Final(Error::Checkpoint { path: self.url.into(), what }));
            }
        }
        let announced = response.body().content_length().map(|rest| *have + rest);
        if let (Some(bytes), Some(announced)) = (self.bytes, announced)
            && bytes != announced
        {
            let what = format!("has {announced} bytes, the published file has {bytes}");
            return Err(Failure::Final(Error::Checkpoint { path: self.url.into(), what }));
        }
        let length = self.bytes.or(announced);
        let mut body = response.body_mut().as_reader();
        let mut buffer = vec![0; 1 << 16];
        loop {
            progress(*have, length);
            let n = body.read(&mut buffer).map_err(Failure::Network)?;
            if n == 0 {
                break;
            }
            if *have + n as u64 > self.bytes.unwrap_or(LONGEST) {
                let _ = std::fs::remove_file(part);
                let what = match self.bytes {
                    Some(bytes) => format!("is longer than the {bytes} bytes that were published"),
                    None => format!("is longer than {LONGEST} bytes, which no checkpoint is"),
                };
                return Err(Failure::Final(Error::Checkpoint { path: self.url.into(), what }));
            }
            let read = buffer.get(..n).unwrap_or_default();
            file.write_all(read).map_err(|source| Failure::Final(disk(part, source)))?;
            *have += n as u64;
        }
        match length {
            Some(length) if *have < length => {
                Err(Failure::Network(io::ErrorKind::UnexpectedEof.into()))
            }
            _ => Ok(()),
        }
    }

    fn network(&self, source: &io::Error, have: u64) -> Error {
        let path = self.url.into();
        let message = match have {
            0 => source.to_string(),
            _ => format!("{source}; {have} bytes are here, run the command again to go on"),
        };
        Error::Io { action: "download", path, source: io::Error::new(source.kind(), message) }
    }
}

enum Failure {
    /// Another attempt may help.
    Network(io::Error),
    Final(Error),
}

fn agent() -> Agent {
    let tls = TlsConfig::builder().root_certs(RootCerts::PlatformVerifier).build();
    Agent::config_builder()
        .tls_config(tls)
        .user_agent(concat!("pentimento/", env!("CARGO_PKG_VERSION")))
        .http_status_as_error(false)
        .timeout_connect(Some(SILENCE))
        .timeout_per_read(Some(SILENCE))
        .build()
        .into()
}

/// The first byte of "Content-Range: bytes 100-199/200".
fn range_start(response: &Response<Body>) -> Option<u64> {
    let range = response.headers().get("content-range")?.to_str().ok()?;
    range.strip_prefix("bytes ")?.split('-').next()?.parse().ok()
}

fn part(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".part");
    name.into()
}

fn restart(file: &mut File, part: &Path) -> Result<u64> {
    file.set_len(0)
        .and_then(|()| file.seek(SeekFrom::Start(0)))
        .map_err(|source| disk(part, source))
}

fn disk(path: &Path, source: io::Error) -> Error {
    Error::Io { action: "write", path: path.to_owned(), source }
}

#[cfg(test)]
mod tests;
