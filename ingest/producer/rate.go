package producer

import "time"

// What a shard takes a second, as Kinesis limits it.
const (
	shardBytes   = 1 << 20
	shardRecords = 1000
)

// A bucket holds the bytes and records that may be sent to one shard now. It fills at a
// rate and holds what a second brings. Sending may empty it below nothing, so that a
// record larger than the bucket passes, too, and is paid for afterwards.
type bucket struct {
	rate           float64 // as a part of a shard's limits; 0 means no limit
	bytes, records float64
	at             time.Time // when it held that
}

// wait returns how long it is until something may be sent.
func (b *bucket) wait(now time.Time) time.Duration {
	if b.rate == 0 {
		return 0
	}
	if b.at.IsZero() {
		b.bytes, b.records = b.rate*shardBytes, b.rate*shardRecords
	} else {
		passed := now.Sub(b.at).Seconds() * b.rate
		b.bytes = min(b.bytes+passed*shardBytes, b.rate*shardBytes)
		b.records = min(b.records+passed*shardRecords, b.rate*shardRecords)
	}
	b.at = now
	// A record is whole: with a part of one in the bucket there is none to send.
	missing := max(-b.bytes/shardBytes, (1-b.records)/shardRecords) / b.rate
	if b.bytes > 0 && b.records >= 1 {
		return 0
	}
	return max(time.Duration(missing*float64(time.Second)), time.Millisecond)
}

// take takes one record of so many bytes out.
func (b *bucket) take(bytes int) {
	b.bytes -= float64(bytes)
	b.records--
}
