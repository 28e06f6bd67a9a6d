package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"time"
)

const minuteMS = 60_000

// check compares answers about the times that are closed with what was acknowledged.
func (s *soak) check(ctx context.Context, p *process) error {
	minute, bucket := s.book.closed(minuteMS), s.book.closed(bucketMS)
	return s.checkUntil(ctx, p, minute, bucket)
}

// checkAll compares answers about everything; nothing may be under way.
func (s *soak) checkAll(ctx context.Context, p *process) error {
	now := time.Now().UnixMilli()
	return s.checkUntil(ctx, p, now-now%minuteMS+minuteMS, now-now%bucketMS+bucketMS)
}

// checkUntil checks whole minutes since the beginning and the last minute by ten seconds,
// in answers to queries and in SQL.
func (s *soak) checkUntil(ctx context.Context, p *process, minute, bucket int64) error {
	a := p.asker()
	defer a.close()
	first := s.book.since()
	if first == 0 {
		return nil
	}
	from := first - first%minuteMS
	recent := max(first, bucket-minuteMS)
	if minute > from {
		if err := s.checkQuery(ctx, a, from, minute, minuteMS, "1m"); err != nil {
			return err
		}
		if err := s.checkSQL(ctx, a, from, minute, "SELECT sum(count)::DOUBLE, sum(sum)::DOUBLE FROM windows_1m", "start"); err != nil {
			return err
		}
	}
	if bucket <= recent {
		return nil
	}
	if err := s.checkQuery(ctx, a, recent, bucket, bucketMS, "10s"); err != nil {
		return err
	}
	return s.checkSQL(ctx, a, bucket-bucketMS, bucket, "SELECT count(*)::DOUBLE, coalesce(sum(value), 0)::DOUBLE FROM points", "ts")
}

// checkQuery checks counts and sums by step.
func (s *soak) checkQuery(ctx context.Context, a *asker, from, to, stepMS int64, step string) error {
	rest := fmt.Sprintf(`"from":%d,"to":%d,"step":%q`, from, to, step)
	counts, err := a.steps(ctx, s.query("count", rest))
	if err != nil {
		return err
	}
	sums, err := a.steps(ctx, s.query("sum", rest))
	if err != nil {
		return err
	}
	if what := compare(s.book.between(from, to, stepMS), counts, sums); what != "" {
		return fmt.Errorf("%w: a query by %s, %s", ErrDiffers, step, what)
	}
	return nil
}

// steps returns the values of the only series of an answer by time.
func (a *asker) steps(ctx context.Context, query string) (map[int64]float64, error) {
	data, err := a.post(ctx, "/api/v1/query", query)
	if err != nil {
		return nil, err
	}
	var answer struct {
		Times  []int64
		Series []struct{ Values []*float64 }
	}
	if err := json.Unmarshal(data, &answer); err != nil {
		return nil, err
	}
	out := map[int64]float64{}
	for _, series := range answer.Series {
		for i, v := range series.Values {
			if v != nil {
				out[answer.Times[i]] += *v
			}
		}
	}
	return out, nil
}

// checkSQL checks a statement that counts and sums over a span of a column.
func (s *soak) checkSQL(ctx context.Context, a *asker, from, to int64, statement, column string) error {
	statement = fmt.Sprintf("%s WHERE metric = '%s' AND %s >= epoch_ms(%d)::TIMESTAMPTZ AND %s < epoch_ms(%d)::TIMESTAMPTZ",
		statement, s.fleet.metric, column, from, column, to)
	_, row, err := a.sql(ctx, statement)
	if err != nil {
		return err
	}
	var want tally
	for _, t := range s.book.between(from, to, bucketMS) {
		want.add(t)
	}
	if len(row) != 2 || row[0] != float64(want.points) || row[1] != want.sum {
		return fmt.Errorf("%w: %s gave %.0f, acknowledged were %d points with a sum of %.0f", ErrDiffers, statement, row, want.points, want.sum)
	}
	return nil
}

// slope returns by how much ys rises with each unit of xs, by least squares.
func slope(xs, ys []float64) float64 {
	var mx, my float64
	for i := range xs {
		mx += xs[i] / float64(len(xs))
		my += ys[i] / float64(len(xs))
	}
	var above, below float64
	for i := range xs {
		above += (xs[i] - mx) * (ys[i] - my)
		below += (xs[i] - mx) * (xs[i] - mx)
	}
	if below == 0 {
		return 0
	}
	return above / below
}

// rise returns by what part of its mean a line through ys rises from the first x to the last.
func rise(xs, ys []float64) float64 {
	if len(xs) < 2 {
		return 0
	}
	var mean float64
	for _, y := range ys {
		mean += y / float64(len(ys))
	}
	if mean == 0 {
		return 0
	}
	return slope(xs, ys) * (xs[len(xs)-1] - xs[0]) / math.Abs(mean)
}
