package kpl

import (
	"crypto/md5"

	"google.golang.org/protobuf/encoding/protowire"
)

// The limits of the KPL where it is told no others.
const (
	DefaultMaxBytes = 51_200
	DefaultMaxCount = 4_294_967_295
)

// An Aggregator packs user records into one aggregated record, byte for byte as the KPL
// does: a key goes into its table when a record first has it, the tables stand before the
// records. The zero value is ready. It is not safe for concurrent use.
type Aggregator struct {
	MaxBytes int // the aggregated record is no larger, unless one user record alone is; 0 means DefaultMaxBytes
	MaxCount int // user records in it, at most MaxRecords; 0 means DefaultMaxCount, as does any number above

	keyTable, hashTable map[string]uint64

	// The three parts of the message, encoded.
	keys, hashes, records []byte

	count int
}

// Add adds a record, or returns false if there is no room for it beside those that are
// there. The first always fits. What Add needs of Data it copies.
func (a *Aggregator) Add(r Record) bool {
	key, newKey := lookup(a.keyTable, r.PartitionKey)
	hash, newHash := uint64(0), false
	if r.ExplicitHashKey != "" {
		hash, newHash = lookup(a.hashTable, r.ExplicitHashKey)
	}
	body := 1 + protowire.SizeVarint(key) + 1 + protowire.SizeBytes(len(r.Data))
	if r.ExplicitHashKey != "" {
		body += 1 + protowire.SizeVarint(hash)
	}
	grows := 1 + protowire.SizeBytes(body)
	if newKey {
		grows += 1 + protowire.SizeBytes(len(r.PartitionKey))
	}
	if newHash {
		grows += 1 + protowire.SizeBytes(len(r.ExplicitHashKey))
	}
	if a.count > 0 && (a.count >= a.maxCount() || a.Size()+grows > a.maxBytes()) {
		return false
	}
	if newKey {
		a.keys = enter(&a.keyTable, a.keys, fieldKeys, r.PartitionKey)
	}
	if newHash {
		a.hashes = enter(&a.hashTable, a.hashes, fieldHashes, r.ExplicitHashKey)
	}
	b := protowire.AppendTag(a.records, fieldRecords, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(body))
	b = protowire.AppendTag(b, fieldKey, protowire.VarintType)
	b = protowire.AppendVarint(b, key)
	if r.ExplicitHashKey != "" {
		b = protowire.AppendTag(b, fieldHash, protowire.VarintType)
		b = protowire.AppendVarint(b, hash)
	}
	b = protowire.AppendTag(b, fieldData, protowire.BytesType)
	a.records = protowire.AppendBytes(b, r.Data)
	a.count++
	return true
}

// lookup returns the index of s in a table, which may be the next.
func lookup(table map[string]uint64, s string) (index uint64, isNew bool) {
	if index, ok := table[s]; ok {
		return index, false
	}
	return uint64(len(table)), true
}

// enter gives s the next index in a table.
func enter(table *map[string]uint64, encoded []byte, field protowire.Number, s string) []byte {
	if *table == nil {
		*table = make(map[string]uint64)
	}
	(*table)[s] = uint64(len(*table))
	encoded = protowire.AppendTag(encoded, field, protowire.BytesType)
	return protowire.AppendString(encoded, s)
}

func (a *Aggregator) maxBytes() int {
	if a.MaxBytes == 0 {
		return DefaultMaxBytes
	}
	return min(a.MaxBytes, MaxBytes)
}

func (a *Aggregator) maxCount() int {
	if a.MaxCount == 0 {
		return MaxRecords
	}
	return min(a.MaxCount, MaxRecords)
}

// Len is the number of records added.
func (a *Aggregator) Len() int { return a.count }

// Size is the number of bytes that AppendTo appends.
func (a *Aggregator) Size() int {
	return len(Magic) + len(a.keys) + len(a.hashes) + len(a.records) + md5.Size
}

// AppendTo appends the aggregated record. The KPL sends a record that is alone as it is,
// without this wrapping; so should callers.
func (a *Aggregator) AppendTo(dst []byte) []byte {
	dst = append(dst, Magic...)
	start := len(dst)
	dst = append(dst, a.keys...)
	dst = append(dst, a.hashes...)
	dst = append(dst, a.records...)
	sum := md5.Sum(dst[start:])
	return append(dst, sum[:]...)
}

// Reset removes the records and keeps the memory.
func (a *Aggregator) Reset() {
	clear(a.keyTable)
	clear(a.hashTable)
	a.keys, a.hashes, a.records = a.keys[:0], a.hashes[:0], a.records[:0]
	a.count = 0
}
