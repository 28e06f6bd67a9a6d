package consumer

import (
	"cmp"
	"encoding/json"
	"fmt"

	"freshet/stream"
)

// Kind is what a Position says.
type Kind int

const (
	TrimHorizon Kind = iota // before the first record that is kept
	Latest                  // after the last record there is
	AtTimestamp             // before the first record that arrived at or after Time
	AfterRecord             // after a record, or a user record in it
	ShardEnd                // after the last record of a closed shard
)

// Position is a place in a shard: where to start, or how far processing has come.
type Position struct {
	Kind     Kind
	Time     int64                 // of AtTimestamp, epoch milliseconds
	Sequence stream.SequenceNumber // of AfterRecord
	// Sub is the sub-sequence number of the user record in an aggregated record. While
	// Within, the record holds others behind it that are not processed.
	Sub    uint32
	Within bool
}

// Compare is negative, zero or positive as p is before, at or after o in the same shard.
// The places where a consumer starts are equal, and before all records.
func (p Position) Compare(o Position) int {
	if c := cmp.Compare(p.rank(), o.rank()); c != 0 || p.Kind != AfterRecord {
		return c
	}
	if c := cmp.Compare(p.Sequence.Offset, o.Sequence.Offset); c != 0 {
		return c
	}
	switch {
	case !p.Within && !o.Within:
		return 0
	case !p.Within:
		return 1
	case !o.Within:
		return -1
	}
	return cmp.Compare(p.Sub, o.Sub)
}

func (p Position) rank() int {
	switch p.Kind {
	case AfterRecord:
		return 1
	case ShardEnd:
		return 2
	}
	return 0
}

// String is the position as people read it.
func (p Position) String() string {
	switch {
	case p.Kind == AtTimestamp:
		return fmt.Sprintf("%s %d", p.name(), p.Time)
	case p.Within:
		return fmt.Sprintf("%s/%d…", p.name(), p.Sub)
	case p.Kind == AfterRecord && p.Sub > 0:
		return fmt.Sprintf("%s/%d", p.name(), p.Sub)
	}
	return p.name()
}

// name is the sentinel of a kind, or the sequence number.
func (p Position) name() string {
	switch p.Kind {
	case TrimHorizon:
		return "TRIM_HORIZON"
	case Latest:
		return "LATEST"
	case AtTimestamp:
		return "AT_TIMESTAMP"
	case ShardEnd:
		return "SHARD_END"
	case AfterRecord:
		return p.Sequence.String()
	}
	return fmt.Sprintf("position kind %d", p.Kind)
}

// positionText is how a position is stored. At is a sentinel or a sequence number.
type positionText struct {
	At     string `json:"at"`
	Time   int64  `json:"time,omitempty"`
	Sub    uint32 `json:"sub,omitempty"`
	Within bool   `json:"within,omitempty"`
}

// MarshalJSON writes {"at": sentinel or sequence number, "time", "sub", "within"}.
func (p Position) MarshalJSON() ([]byte, error) {
	return json.Marshal(positionText{At: p.name(), Time: p.Time, Sub: p.Sub, Within: p.Within})
}

// UnmarshalJSON reads what MarshalJSON writes.
func (p *Position) UnmarshalJSON(text []byte) error {
	var t positionText
	if err := json.Unmarshal(text, &t); err != nil {
		return err
	}
	for kind := range ShardEnd + 1 {
		q := Position{Kind: kind}
		if kind == AfterRecord || q.name() != t.At {
			continue
		}
		if kind == AtTimestamp {
			q.Time, t.Time = t.Time, 0
		}
		if t.Time != 0 || t.Sub != 0 || t.Within {
			return fmt.Errorf("position %s: time, sub and within do not go with it", t.At)
		}
		*p = q
		return nil
	}
	n, err := stream.ParseSequenceNumber(t.At)
	if err != nil {
		return fmt.Errorf("position: %w", err)
	}
	if t.Time != 0 {
		return fmt.Errorf("position %s: time does not go with it", t.At)
	}
	*p = Position{Kind: AfterRecord, Sequence: n, Sub: t.Sub, Within: t.Within}
	return nil
}
