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
// merge. Columns that an older version lacked say that no point was late.
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
`, keysTable}

// views are what SQL reads. They hold no data, so they are made anew at each start. What is not
// loaded comes from pending_points and pending_series, and only the part that the
// reader's own snapshot of the tables lacks: a point is in exactly one of the two.
var views = `
CREATE OR REPLACE VIEW all_series AS
	SELECT id, metric, type, labels FROM series_rows
	UNION ALL
	SELECT id, metric, type, labels FROM pending_series() WHERE id > (SELECT coalesce(max(id), 0) FROM series_rows);
CREATE OR REPLACE VIEW tail_points AS
	SELECT * FROM pending_points() WHERE generation > (SELECT coalesce(max(generation), 0) FROM load_rows);
CREATE OR REPLACE VIEW all_points AS
	SELECT series, ts, value, member, shard, seq FROM point_rows
	UNION ALL
	SELECT series, ts, value, member, shard, seq FROM tail_points;
CREATE OR REPLACE MACRO type_name(t) AS ['gauge', 'counter', 'cumulative', 'distribution', 'set'][t];
CREATE OR REPLACE MACRO number(t, x) AS CASE WHEN t = 5 THEN NULL ELSE x END; -- a set has no numbers
CREATE OR REPLACE MACRO shard_name(n) AS 'shardId-' || lpad(n::VARCHAR, 12, '0');
CREATE OR REPLACE MACRO floor_ts(t, ms) AS make_timestamptz((epoch_ms(t) // ms) * ms * 1000);

CREATE OR REPLACE VIEW points AS
	SELECT p.ts, s.metric, type_name(s.type) AS type, p.value, p.member, s.labels, shard_name(p.shard) AS shard, p.seq
	FROM all_points p JOIN all_series s ON s.id = p.series;
CREATE OR REPLACE VIEW windows_1s AS
	SELECT w.start, s.metric, s.labels, w.count, w.sum, w.min, w.max, w.first, w.last FROM (
		SELECT series, floor_ts(ts, 1000) AS start, count(*)::UBIGINT AS count, sum(value) AS sum, min(value) AS min, max(value) AS max,
			arg_min(value, ts) AS first, arg_max(value, ts) AS last
		FROM all_points GROUP BY ALL) w JOIN all_series s ON s.id = w.series;
` + rollup + `
CREATE OR REPLACE VIEW series AS SELECT id, metric, type_name(type) AS type, labels FROM all_series;
CREATE OR REPLACE VIEW metrics AS
	SELECT metric, type_name(any_value(type)) AS type, count(*) AS series FROM all_series GROUP BY metric;
CREATE OR REPLACE VIEW loads AS
	SELECT l.generation, l.started, l.finished, l.points, r.from_seq, r.to_seq FROM load_rows l JOIN (
		SELECT generation, map_from_entries(list((shard_name(shard), from_seq) ORDER BY shard)) AS from_seq,
			map_from_entries(list((shard_name(shard), to_seq) ORDER BY shard)) AS to_seq
		FROM range_rows GROUP BY generation) r USING (generation);
`

// rollup makes the views of the longer windows.
var rollup = longer("windows_1m", "minute_rows", 60_000) + longer("windows_1h", "hour_rows", 3_600_000) + longer("windows_1d", "day_rows", 86_400_000)

func longer(view, table string, ms int) string {
	return fmt.Sprintf(`
CREATE OR REPLACE VIEW %s AS
	SELECT w.start, s.metric, s.labels, w.count, number(s.type, w.sum) AS sum, number(s.type, w.min) AS min, number(s.type, w.max) AS max,
		number(s.type, w.first) AS first, number(s.type, w.last) AS last FROM (
		SELECT series, start, sum(count)::UBIGINT AS count, sum(sum) AS sum, min(min) AS min, max(max) AS max,
			arg_min(first, first_ts) AS first, arg_max(last, last_ts) AS last
		FROM (
			SELECT series, start, count, sum, min, max, first, last, first_ts, last_ts FROM %s
			UNION ALL
			SELECT series, floor_ts(ts, %d) AS start, count(*) AS count, coalesce(sum(value), 0) AS sum, min(value) AS min, max(value) AS max,
				arg_min(value, ts) AS first, arg_max(value, ts) AS last, min(ts) AS first_ts, max(ts) AS last_ts
			FROM tail_points GROUP BY ALL)
		GROUP BY ALL) w JOIN all_series s ON s.id = w.series;`, view, table, ms)
}

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
	if err := c.Exec(ctx, "BEGIN; "+views+" COMMIT"); err != nil {
		return fmt.Errorf("views: %w", err)
	}
	return nil
}
