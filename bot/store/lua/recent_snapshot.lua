-- Add a recent snapshot of the board; then delete those beyond the bounds.
-- KEYS: recent snapshots.
-- ARGV: the version of the board, the snapshot, the most that are kept, the oldest time that is kept (milliseconds).
redis.call('XADD', KEYS[1], '*', 'v', ARGV[1], 'd', ARGV[2])
redis.call('XTRIM', KEYS[1], 'MAXLEN', ARGV[3])
redis.call('XTRIM', KEYS[1], 'MINID', ARGV[4])
