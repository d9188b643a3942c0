-- Ends a wrk run with one line of key=value pairs for measure.sh; with an argument after "--",
-- sends bodies of that many bytes to the path in the address.

function init(args)
  local upload = tonumber(args[1])
  if upload then
    wrk.method = "POST"
    wrk.body = string.rep("x", upload)
  end
end

function done(summary, latency)
  local errors = summary.errors
  local failed = errors.connect + errors.read + errors.write + errors.status + errors.timeout
  io.write(string.format(
    "result requests=%d bytes=%d duration_us=%d p50_us=%d p99_us=%d p999_us=%d errors=%d\n",
    summary.requests, summary.bytes, summary.duration, latency:percentile(50),
    latency:percentile(99), latency:percentile(99.9), failed))
end
