//! The three codings behind one face.

use std::io::{self, Write};
use std::rc::Rc;

use super::blocks::Blocks;
use super::pacing::Active;
use crate::http1::Coding;
use crate::plan::CompressPlan;
use crate::proxy::Context;

/// How far back Brotli and Zstandard look, as a power of two: 256 KiB. Their own choice of several
/// MiB would be held for every response under way.
const WINDOW_LOG: u32 = 18;
/// What an encoder holds at most, bytes, with what it has made and not given away.
pub fn memory(coding: Coding, plan: &CompressPlan) -> usize {
    const KIB: usize = 1 << 10;
    match coding {
        Coding::Gzip => 384 * KIB,
        // The tables in which it looks for what was there before double with each level.
        Coding::Brotli => {
            (1152
                + match plan.brotli_level {
                    0..=3 => 256,
                    4 => 512,
                    5 => 1 << 10,
                    6 => 2 << 10,
                    7 => 8 << 10,
                    8 => 16 << 10,
                    _ => 32 << 10,
                })
                * KIB
        }
        Coding::Zstd => match plan.zstd_level {
            0..=3 => 2 << 20,
            _ => 5 << 20,
        },
    }
}

/// Compresses what is written to it.
pub struct Encoder {
    kind: Kind,
    _active: Option<Active>,
}

enum Kind {
    Gzip(Box<flate2::write::GzEncoder<Vec<u8>>>),
    Brotli(Box<Blocks>),
    Zstd(Box<zstd::stream::write::Encoder<'static, Vec<u8>>>),
}

impl Encoder {
    /// For a response of `length` bytes, if that is known; counted in `context`.
    pub fn new(
        coding: Coding,
        plan: &CompressPlan,
        length: Option<u64>,
        context: Option<&Rc<Context>>,
    ) -> io::Result<Encoder> {
        let kind = match coding {
            Coding::Gzip => {
                let level = flate2::Compression::new(plan.gzip_level);
                Kind::Gzip(Box::new(flate2::write::GzEncoder::new(Vec::new(), level)))
            }
            Coding::Brotli => Kind::Brotli(Blocks::new(plan.brotli_level, WINDOW_LOG, length)),
            Coding::Zstd => {
                let level = plan.zstd_level as i32;
                let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), level)?;
                encoder.window_log(WINDOW_LOG)?;
                encoder.set_pledged_src_size(length)?;
                Kind::Zstd(Box::new(encoder))
            }
        };
        let active = context.map(|context| Active::new(context, memory(coding, plan)));
        Ok(Encoder { kind, _active: active })
    }

    fn out(&mut self) -> &mut Vec<u8> {
        match &mut self.kind {
            Kind::Gzip(encoder) => encoder.get_mut(),
            Kind::Brotli(encoder) => &mut encoder.out,
            Kind::Zstd(encoder) => encoder.get_mut(),
        }
    }

    /// Takes some of the response.
    ///
    /// # Errors
    /// When memory is short.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.kind {
            Kind::Gzip(encoder) => encoder.write_all(bytes),
            Kind::Brotli(encoder) => encoder.write(bytes),
            Kind::Zstd(encoder) => encoder.write_all(bytes),
        }
    }

    /// Makes all that was written readable for who gets what was made.
    ///
    /// # Errors
    /// As above.
    pub fn flush(&mut self) -> io::Result<()> {
        match &mut self.kind {
            Kind::Gzip(encoder) => encoder.flush(),
            Kind::Brotli(encoder) => encoder.flush(),
            Kind::Zstd(encoder) => encoder.flush(),
        }
    }

    /// Bytes that were made and not taken.
    pub fn made(&mut self) -> usize {
        self.out().len()
    }

    /// Takes them.
    pub fn take(&mut self) -> Vec<u8> {
        std::mem::take(self.out())
    }

    /// There is no more: the last bytes.
    ///
    /// # Errors
    /// As above; or less was written than was announced.
    pub fn finish(self) -> io::Result<Vec<u8>> {
        match self.kind {
            Kind::Gzip(encoder) => encoder.finish(),
            Kind::Brotli(encoder) => encoder.finish(),
            Kind::Zstd(encoder) => encoder.finish(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;
    use crate::plan::TypePattern;

    fn plan(level: u32) -> CompressPlan {
        CompressPlan {
            codings: Vec::new(),
            types: vec![TypePattern::Any],
            min_bytes: 0,
            gzip_level: level,
            brotli_level: level,
            zstd_level: level,
        }
    }

    /// What there is so far, however much is still to come.
    fn decoded(coding: Coding, bytes: &[u8]) -> Vec<u8> {
        let mut reader: Box<dyn Read> = match coding {
            Coding::Gzip => Box::new(flate2::read::GzDecoder::new(bytes)),
            Coding::Brotli => Box::new(brotli::Decompressor::new(bytes, 4096)),
            Coding::Zstd => Box::new(zstd::stream::read::Decoder::new(bytes).unwrap()),
        };
        let (mut out, mut some) = (Vec::new(), [0; 1000]);
        // An error: the rest is missing.
        while let Ok(n) = reader.read(&mut some) {
            if n == 0 {
                break;
            }
            out.extend_from_slice(&some[..n]);
        }
        out
    }

    fn text(length: usize) -> Vec<u8> {
        (0..length).map(|at| b"abcdefgh"[(at * at / 7 + at / 1000) % 8]).collect()
    }

    #[test]
    fn what_goes_in_comes_out() {
        for (_, coding) in Coding::ALL {
            for length in [0, 1, 1000, 300_000] {
                for (level, known) in [(1, None), (5, Some(length as u64)), (9, None)] {
                    let mut encoder = Encoder::new(coding, &plan(level), known, None).unwrap();
                    let (text, mut out) = (text(length), Vec::new());
                    for piece in text.chunks(777) {
                        encoder.write(piece).unwrap();
                        out.append(&mut encoder.take());
                    }
                    out.extend(encoder.finish().unwrap());
                    assert!(decoded(coding, &out) == text, "{coding:?} {length} {level}");
                    assert!(length < 1000 || out.len() < length / 2, "{coding:?} {}", out.len());
                }
            }
        }
    }

    #[test]
    fn what_is_flushed_can_be_read() {
        for (_, coding) in Coding::ALL {
            let mut encoder = Encoder::new(coding, &plan(4), None, None).unwrap();
            let (mut all, mut out) = (Vec::new(), Vec::new());
            for line in 0..20 {
                let line = format!("data: {line}\n\n");
                all.extend_from_slice(line.as_bytes());
                encoder.write(line.as_bytes()).unwrap();
                encoder.flush().unwrap();
                assert!(encoder.made() > 0);
                out.append(&mut encoder.take());
                assert_eq!(encoder.made(), 0);
                assert!(decoded(coding, &out) == all, "{coding:?}");
            }
        }
    }
}
