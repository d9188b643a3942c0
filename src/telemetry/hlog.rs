//! The interval log of HdrHistogram (`.hlog`, version 1): a line for each histogram and interval.

use std::io;
use std::time::Duration;

use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::{
    IntervalLogWriterBuilder, IntervalLogWriterError, Tag,
};

use super::{Latency, Phase};

/// When the values of a line were recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogInterval {
    /// Its begin, since 1970.
    pub from: Duration,
    /// Its length.
    pub length: Duration,
}

/// How a log begins whose first interval begins then. Times are those of the clock on the wall, and
/// of no base, so that several processes may write one log in turn.
pub fn hlog_head(start: Duration) -> String {
    format!(
        "#[Histogram log format version 1.3]\n\
         #[Latency of requests by phase, in microseconds, as recorded by Corelane]\n\
         #[StartTime: {:.3} (seconds since epoch)]\n\
         \"StartTimestamp\",\"Interval_Length\",\"Interval_Max\",\
         \"Interval_Compressed_Histogram\"\n",
        start.as_secs_f64()
    )
}

/// Appends a line for each phase that something was recorded of, tagged with its name.
///
/// # Errors
/// None that a vector as receiver could cause; those of the encoder, which a valid histogram does
/// not cause.
pub fn hlog_lines(out: &mut Vec<u8>, interval: LogInterval, latency: &Latency) -> io::Result<()> {
    let mut serializer = V2DeflateSerializer::new();
    let mut writer = IntervalLogWriterBuilder::new().begin_log_with(out, &mut serializer)?;
    for phase in Phase::ALL.into_iter().filter(|phase| latency.count(*phase) > 0) {
        let (histogram, tag) = (latency.histogram(phase), Tag::new(phase.label()));
        let written = writer.write_histogram(&histogram, interval.from, interval.length, tag);
        written.map_err(|error| match error {
            IntervalLogWriterError::IoError(error) => error,
            IntervalLogWriterError::SerializeError(error) => io::Error::other(error.to_string()),
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use hdrhistogram::serialization::Deserializer;
    use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};

    /// Decodes base64 (RFC 4648 §4): the log's parser hands histograms over as text.
    fn from_base64(text: &str) -> Vec<u8> {
        const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let digits = text.bytes().filter(|byte| *byte != b'=');
        let digit = |byte| DIGITS.iter().position(|digit| *digit == byte).expect("a digit") as u32;
        let digits: Vec<u32> = digits.map(digit).collect();
        digits
            .chunks(4)
            .flat_map(|chunk| {
                let bits = chunk.iter().fold(0, |bits, digit| bits << 6 | digit);
                let bytes = (bits << (6 * (4 - chunk.len()))).to_be_bytes();
                bytes[1..chunk.len()].to_vec()
            })
            .collect()
    }

    #[test]
    fn a_log_is_read_back_as_it_was() {
        let mut latency = Latency::default();
        latency.add(Phase::FirstByte, 1500, 3);
        latency.add(Phase::Total, 0, 2);
        latency.add(Phase::Total, 90_000, 7);
        let from = Duration::from_millis(1_763_755_200_250);
        let interval = LogInterval { from, length: Duration::from_secs(10) };
        let mut log = hlog_head(from).into_bytes();
        hlog_lines(&mut log, interval, &latency).expect("written");
        let mut tags = Vec::new();
        for entry in IntervalLogIterator::new(&log) {
            match entry.expect("valid") {
                LogEntry::StartTime(start) => assert_eq!(start, from),
                LogEntry::BaseTime(_) => panic!("times need no base"),
                LogEntry::Interval(line) => {
                    assert_eq!((line.start_timestamp(), line.duration()), (from, interval.length));
                    let tag = line.tag().expect("a tag").as_str().to_owned();
                    let phase = Phase::ALL.into_iter().find(|phase| phase.label() == tag);
                    let bytes = from_base64(line.encoded_histogram());
                    let read = Deserializer::new().deserialize::<u64, _>(&mut bytes.as_slice());
                    assert_eq!(read.expect("a histogram"), latency.histogram(phase.expect("one")));
                    tags.push(tag);
                }
            }
        }
        assert_eq!(tags, ["first_byte", "total"]);
    }
}
