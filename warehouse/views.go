package warehouse

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"freshet/warehouse/duck"
)

// viewsOf returns the statements that make what SQL reads. Views hold no data, so they
// are made anew at each start and when a horizon moves. What is not loaded comes from
// pending_points and pending_series, and only the part that the reader's own snapshot of
// the tables lacks: a point is in exactly one of the two.
func viewsOf(h horizons) []string {
	views := []string{`
CREATE OR REPLACE VIEW all_series AS
	SELECT id, metric, type, labels FROM series_rows
	UNION ALL
	SELECT id, metric, type, labels FROM pending_series() WHERE id > (SELECT coalesce(max(id), 0) FROM series_rows)`, `
CREATE OR REPLACE VIEW tail_points AS
	SELECT * FROM pending_points() WHERE generation > (SELECT coalesce(max(generation), 0) FROM load_rows)`, fmt.Sprintf(`
CREATE OR REPLACE VIEW all_points AS
	SELECT series, ts, value, member, shard, seq, late FROM point_rows%[1]s
	UNION ALL
	SELECT series, ts, value, member, shard, seq, late FROM tail_points%[1]s`, since("ts", h["points"])), `
CREATE OR REPLACE MACRO type_name(t) AS ['gauge', 'counter', 'cumulative', 'distribution', 'set'][t]`, `
CREATE OR REPLACE MACRO number(t, x) AS CASE WHEN t = 5 THEN NULL ELSE x END`, `
CREATE OR REPLACE MACRO shard_name(n) AS 'shardId-' || lpad(n::VARCHAR, 12, '0')`, `
CREATE OR REPLACE MACRO floor_ts(t, ms) AS make_timestamptz((epoch_ms(t) // ms) * ms * 1000)`, `
CREATE OR REPLACE VIEW points AS
	SELECT p.ts, s.metric, type_name(s.type) AS type, p.value, p.member, s.labels, shard_name(p.shard) AS shard, p.seq, p.late
	FROM all_points p JOIN all_series s ON s.id = p.series`, `
CREATE OR REPLACE VIEW windows_1s AS
	SELECT w.start, s.metric, s.labels, w.count, w.sum, w.min, w.max, w.first, w.last, w.first_at, w.last_at,
		CASE WHEN s.type = 3 THEN w.resets ELSE 0 END AS resets,
		CASE WHEN s.type = 4 THEN sketch_of(w.numbers) END AS sketch, CASE WHEN s.type = 5 THEN members_of(w.texts) END AS members, w.late FROM (
		SELECT series, floor_ts(ts, 1000) AS start, count(*)::UBIGINT AS count, sum(value) AS sum, min(value) AS min, max(value) AS max,
			arg_min(value, ts) AS first, arg_max(value, ts) AS last, min(ts) AS first_at, max(ts) AS last_at,
			increase(ts, value, ts, value, 0) - arg_max(value, ts) + arg_min(value, ts) AS resets,
			list(value) AS numbers, list(member) AS texts, count_if(late)::UBIGINT AS late
		FROM all_points GROUP BY ALL) w JOIN all_series s ON s.id = w.series`,
		longer("windows_1m", "minute_rows", 60_000, h["1m"]),
		longer("windows_1h", "hour_rows", anHour, h["1h"]),
		longer("windows_1d", "day_rows", aDay, h["1d"]), `
CREATE OR REPLACE VIEW series AS SELECT id, metric, type_name(type) AS type, labels FROM all_series`, `
CREATE OR REPLACE VIEW metrics AS
	SELECT metric, type_name(any_value(type)) AS type, count(*) AS series FROM all_series GROUP BY metric`, `
CREATE OR REPLACE VIEW loads AS
	SELECT l.generation, l.started, l.finished, l.points, r.from_seq, r.to_seq FROM load_rows l JOIN (
		SELECT generation, map_from_entries(list((shard_name(shard), from_seq) ORDER BY shard)) AS from_seq,
			map_from_entries(list((shard_name(shard), to_seq) ORDER BY shard)) AS to_seq
		FROM range_rows GROUP BY generation) r USING (generation)`}
	return views
}

// longer makes the view of a length of windows. A column that a query does not use is
// not computed.
func longer(view, table string, ms, horizon int64) string {
	return fmt.Sprintf(`
CREATE OR REPLACE VIEW %[1]s AS
	SELECT w.start, s.metric, s.labels, w.count, number(s.type, w.sum) AS sum, number(s.type, w.min) AS min, number(s.type, w.max) AS max,
		number(s.type, w.first) AS first, number(s.type, w.last) AS last, w.first_ts AS first_at, w.last_ts AS last_at,
		CASE WHEN s.type = 3 THEN w.resets ELSE 0 END AS resets,
		CASE WHEN s.type = 4 THEN w.sketch END AS sketch, CASE WHEN s.type = 5 THEN w.members END AS members, w.late FROM (
		SELECT series, start, sum(count)::UBIGINT AS count, sum(sum) AS sum, min(min) AS min, max(max) AS max,
			arg_min(first, first_ts) AS first, arg_max(last, last_ts) AS last, min(first_ts) AS first_ts, max(last_ts) AS last_ts,
			increase(first_ts, first, last_ts, last, resets) - arg_max(last, last_ts) + arg_min(first, first_ts) AS resets,
			merge_sketch(sketch) AS sketch, merge_members(members) AS members, sum(late)::UBIGINT AS late
		FROM (
			SELECT series, start, count, sum, min, max, first, last, first_ts, last_ts, resets, sketch, members, late FROM %[2]s
			UNION ALL
			SELECT series, floor_ts(ts, %[3]d) AS start, count(*) AS count, coalesce(sum(value), 0) AS sum, min(value) AS min, max(value) AS max,
				arg_min(value, ts) AS first, arg_max(value, ts) AS last, min(ts) AS first_ts, max(ts) AS last_ts,
				increase(ts, value, ts, value, 0) - arg_max(value, ts) + arg_min(value, ts) AS resets,
				sketch_of(list(value)) AS sketch, members_of(list(member)) AS members, count_if(late) AS late
			FROM tail_points GROUP BY ALL)%[4]s
		GROUP BY ALL) w JOIN all_series s ON s.id = w.series`, view, table, ms, since("start", horizon))
}

// since is the SQL that leaves out what lies before a horizon.
func since(column string, horizon int64) string {
	if horizon == 0 {
		return ""
	}
	return fmt.Sprintf(" WHERE %s >= make_timestamptz(%d)", column, horizon*1000)
}

// makeViews makes the views within the session's transaction.
func makeViews(ctx context.Context, s *duck.Session, h horizons) error {
	for _, view := range slices.Concat(macros, viewsOf(h)) {
		if _, err := s.Exec(ctx, view); err != nil {
			name, _, _ := strings.Cut(strings.TrimSpace(view), " AS")
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// freshViews makes the views in a transaction of its own.
func freshViews(ctx context.Context, db *duck.DB) error {
	s, err := db.Session(ctx)
	if err != nil {
		return err
	}
	defer s.Close()
	h, err := readHorizons(ctx, s)
	if err != nil {
		return err
	}
	if _, err := s.Exec(ctx, "BEGIN TRANSACTION"); err != nil {
		return err
	}
	if err := makeViews(ctx, s, h); err != nil {
		return fmt.Errorf("views: %w", err)
	}
	_, err = s.Exec(ctx, "COMMIT")
	return err
}
