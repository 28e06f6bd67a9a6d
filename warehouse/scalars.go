package warehouse

import (
	"fmt"

	"freshet/aggregate"
	"freshet/aggregate/window"
	"freshet/warehouse/duck"
)

// scalars returns the functions behind the macros of SQL: each makes one value of lists
// that DuckDB has gathered of a group.
func scalars() []duck.Scalar {
	list := func(t duck.Type) duck.Arg { return duck.Arg{Type: t, List: true} }
	return []duck.Scalar{
		{Name: "sketch_quantile", Args: []duck.Arg{list(duck.Blob), {Type: duck.Double}}, Result: duck.Double, Call: sketchQuantile},
		{Name: "sketch_merge", Args: []duck.Arg{list(duck.Blob)}, Result: duck.Blob, Call: sketchMerge},
		{Name: "sketch_of", Args: []duck.Arg{list(duck.Double)}, Result: duck.Blob, Call: sketchOf},
		{Name: "members_count", Args: []duck.Arg{list(duck.Blob)}, Result: duck.UBigInt, Call: membersCount},
		{Name: "members_merge", Args: []duck.Arg{list(duck.Blob)}, Result: duck.Blob, Call: membersMerge},
		{Name: "members_of", Args: []duck.Arg{list(duck.Varchar)}, Result: duck.Blob, Call: membersOf},
		{Name: "climb", Args: []duck.Arg{list(duck.BigInt), list(duck.Double), list(duck.BigInt), list(duck.Double), list(duck.Double)},
			Result: duck.Double, Call: climb},
	}
}

// macros are the aggregates that SQL may use beside those of DuckDB. A parameter must not
// be named like a column that is given for it, hence the names.
var macros = []string{
	`CREATE OR REPLACE MACRO p(sketch_, q_) AS sketch_quantile(list(sketch_) FILTER (sketch_ IS NOT NULL), q_)`,
	`CREATE OR REPLACE MACRO merge_sketch(sketch_) AS sketch_merge(list(sketch_) FILTER (sketch_ IS NOT NULL))`,
	`CREATE OR REPLACE MACRO distinct_count(members_) AS coalesce(members_count(list(members_) FILTER (members_ IS NOT NULL)), 0)`,
	`CREATE OR REPLACE MACRO merge_members(members_) AS members_merge(list(members_) FILTER (members_ IS NOT NULL))`,
	`CREATE OR REPLACE MACRO increase(first_at_, first_, last_at_, last_, resets_) AS
		climb(list(epoch_ms(first_at_)), list(first_), list(epoch_ms(last_at_)), list(last_), list(resets_::DOUBLE))`,
	`CREATE OR REPLACE MACRO rate(sum_, seconds_) AS sum(sum_) / seconds_,
		(first_at_, first_, last_at_, last_, resets_) AS
		increase(first_at_, first_, last_at_, last_, resets_) / nullif(epoch(max(last_at_)) - epoch(min(first_at_)), 0)`,
}

// eachBytes calls visit with the blobs of a list.
func eachBytes(in *duck.Chunk, row int, visit func([]byte) error) error {
	items, from, to := in.List(0, row)
	for i := from; i < to; i++ {
		if b := items.Bytes(0, i); b != nil {
			if err := visit(b); err != nil {
				return err
			}
		}
	}
	return nil
}

func sketchQuantile(in *duck.Chunk, row int, out *duck.Chunk) error {
	q := duck.Values[float64](in, 1)[row]
	if !(q >= 0 && q <= 1) {
		return fmt.Errorf("the quantile is %v; it must lie between 0 and 1", q)
	}
	var h window.Histogram
	if err := eachBytes(in, row, h.MergeBinary); err != nil {
		return err
	}
	if h.Count() == 0 {
		out.SetNull(0, row)
		return nil
	}
	duck.Values[float64](out, 0)[row] = h.Quantile(q)
	return nil
}

func sketchMerge(in *duck.Chunk, row int, out *duck.Chunk) error {
	var h window.Histogram
	if err := eachBytes(in, row, h.MergeBinary); err != nil {
		return err
	}
	var s window.Sketch
	h.AppendTo(&s)
	out.SetBytes(0, row, s.AppendBinary(nil))
	return nil
}

// sketchOf makes a sketch of raw values.
func sketchOf(in *duck.Chunk, row int, out *duck.Chunk) error {
	items, from, to := in.List(0, row)
	values := duck.Values[float64](items, 0)
	var h window.Histogram
	for i := from; i < to; i++ {
		if !items.Null(0, i) {
			h.Add(window.BinOf(values[i]), 1)
		}
	}
	var s window.Sketch
	h.AppendTo(&s)
	out.SetBytes(0, row, s.AppendBinary(nil))
	return nil
}

func membersCount(in *duck.Chunk, row int, out *duck.Chunk) error {
	var d window.Distinct
	if err := eachBytes(in, row, d.MergeBinary); err != nil {
		return err
	}
	duck.Values[uint64](out, 0)[row] = d.Count()
	return nil
}

func membersMerge(in *duck.Chunk, row int, out *duck.Chunk) error {
	var d window.Distinct
	if err := eachBytes(in, row, d.MergeBinary); err != nil {
		return err
	}
	out.SetBytes(0, row, d.AppendBinary(nil))
	return nil
}

// membersOf counts raw members.
func membersOf(in *duck.Chunk, row int, out *duck.Chunk) error {
	var d window.Distinct
	err := eachBytes(in, row, func(member []byte) error {
		d.Add(aggregate.MemberHash(member))
		return nil
	})
	out.SetBytes(0, row, d.AppendBinary(nil))
	return err
}

// climb returns by how much a cumulative series rose over windows given as lists: times
// and values of their first and last points, and what they lost at resets.
func climb(in *duck.Chunk, row int, out *duck.Chunk) error {
	firstAt, first, lastAt, last, resets := items[int64](in, 0, row), items[float64](in, 1, row), items[int64](in, 2, row), items[float64](in, 3, row), items[float64](in, 4, row)
	n := min(len(firstAt), len(first), len(lastAt), len(last), len(resets))
	if n == 0 || n != max(len(firstAt), len(first), len(lastAt), len(last), len(resets)) {
		return fmt.Errorf("the lists have %d, %d, %d, %d and %d values", len(firstAt), len(first), len(lastAt), len(last), len(resets))
	}
	states := make([]window.State, n)
	parts := make([]*window.State, n)
	for i := range states {
		states[i] = window.State{Count: 1, FirstTime: firstAt[i], First: first[i], LastTime: lastAt[i], Last: last[i], Resets: resets[i]}
		parts[i] = &states[i]
	}
	duck.Values[float64](out, 0)[row] = window.Climb(parts)
	return nil
}

// items returns the values of a list.
func items[T int64 | float64](in *duck.Chunk, column, row int) []T {
	all, from, to := in.List(column, row)
	return duck.Values[T](all, 0)[from:to]
}
