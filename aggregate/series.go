package aggregate

import "freshet/ingest/point"

// A SeriesID numbers a series within one data directory, from 1. Numbers are given in
// the order in which series are first folded; those of loaded series are kept by the
// warehouse, so they are the same after a restart.
type SeriesID uint32

// A Series is a dictionary entry. It never changes once it is in the dictionary.
type Series struct {
	ID SeriesID
	point.Series
}
