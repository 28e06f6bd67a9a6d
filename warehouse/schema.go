package warehouse

import (
	"context"
	"fmt"

	"freshet/warehouse/duck"
)

// migrations bring a database from one version to the next; migrations[i] makes
// version i+1. What has been released is never edited, only followed.
//
// The tables end in _rows and are internal. Rows are only added; each names the
// generation that brought it. Series stand for their id everywhere: a string a row
// would load ten times slower. There are no keys or indexes: a primary key costs more
// than the row.
//
// Version 2 adds days, made of the hours there were as they are: parts of a window
// merge. Columns that an older version lacked say that no point was late. Version 3
// adds the keys of posts; version 4 from when on each level is there, and the highest id
// that a series had when some were deleted.
var migrations = []string{`
CREATE TABLE series_rows (id UINTEGER NOT NULL, metric VARCHAR NOT NULL, type UTINYINT NOT NULL, labels MAP(VARCHAR, VARCHAR) NOT NULL);
CREATE TABLE point_rows (series UINTEGER NOT NULL, ts TIMESTAMPTZ NOT NULL, value DOUBLE, member VARCHAR,
	shard UINTEGER NOT NULL, seq UBIGINT NOT NULL, generation UBIGINT NOT NULL);
CREATE TABLE minute_rows (series UINTEGER NOT NULL, start TIMESTAMPTZ NOT NULL, count UBIGINT NOT NULL,
	sum DOUBLE NOT NULL, min DOUBLE NOT NULL, max DOUBLE NOT NULL, first DOUBLE NOT NULL, last DOUBLE NOT NULL,
	first_ts TIMESTAMPTZ NOT NULL, last_ts TIMESTAMPTZ NOT NULL, resets DOUBLE NOT NULL, sketch BLOB, members BLOB, generation UBIGINT NOT NULL);
CREATE TABLE hour_rows AS FROM minute_rows;
CREATE TABLE load_rows (generation UBIGINT NOT NULL, started TIMESTAMPTZ NOT NULL, finished TIMESTAMPTZ NOT NULL, points UBIGINT NOT NULL);
CREATE TABLE range_rows (generation UBIGINT NOT NULL, shard UINTEGER NOT NULL, from_seq UBIGINT NOT NULL, to_seq UBIGINT NOT NULL);
`, `
ALTER TABLE point_rows ADD COLUMN late BOOLEAN DEFAULT false;
ALTER TABLE minute_rows ADD COLUMN late UBIGINT DEFAULT 0;
ALTER TABLE hour_rows ADD COLUMN late UBIGINT DEFAULT 0;
CREATE TABLE day_rows AS SELECT * REPLACE (make_timestamptz((epoch_ms(start) // 86400000) * 86400000 * 1000) AS start) FROM hour_rows;
ALTER TABLE range_rows ADD COLUMN max_ts TIMESTAMPTZ;
`, keysTable, `
CREATE TABLE horizon_rows (level VARCHAR NOT NULL, since TIMESTAMPTZ NOT NULL);
CREATE TABLE top_rows (id UINTEGER NOT NULL);
`}

// migrate brings the schema to the present version, one transaction a step.
func migrate(ctx context.Context, db *duck.DB) error {
	c, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.Exec(ctx, "CREATE TABLE IF NOT EXISTS schema_rows (version INTEGER NOT NULL, applied TIMESTAMPTZ NOT NULL)"); err != nil {
		return err
	}
	var version int
	if err := c.Value(ctx, "SELECT coalesce(max(version), 0) FROM schema_rows", nil, &version); err != nil {
		return err
	}
	if version > len(migrations) {
		return fmt.Errorf("the warehouse has schema version %d; this program knows versions up to %d: it was written by a later one", version, len(migrations))
	}
	for ; version < len(migrations); version++ {
		step := fmt.Sprintf("BEGIN; %s INSERT INTO schema_rows VALUES (%d, now()); COMMIT", migrations[version], version+1)
		if err := c.Exec(ctx, step); err != nil {
			return fmt.Errorf("migration to schema version %d: %w", version+1, err)
		}
	}
	return nil
}
