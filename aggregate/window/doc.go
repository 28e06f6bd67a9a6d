// Package window is the pure fold: points of one metric become windows, windows merge.
//
// Package aggregate calls it. A [Fold] takes the points of one metric, one shard and
// one generation; a [View] is what it held at one moment, safe to read while the fold
// goes on; [Rollup] merges windows into longer ones. The aggregates are those of [State]:
// count, sum, min, max, first, last, the resets of a cumulative total, a DDSketch and a
// distinct count. All of them merge, in any order.
//
// There is no clock, lock or goroutine here and nothing is kept over a crash.
package window
