package segment

import "hash/crc32"

// Record is one record as it is read. Key and Data are parts of the reader's buffer.
type Record struct {
	Offset  uint64
	Arrived int64 // epoch milliseconds
	Hash    [2]uint64
	HasHash bool
	Key     []byte
	Data    []byte
	Last    bool // of its frame
}

// RecordSize is the number of bytes that a record takes in a frame.
func RecordSize(key, data int, hash bool) int {
	n := RecordHeaderSize + key + data
	if hash {
		n += hashSize
	}
	return n
}

// AppendRecord appends a record to the body of a frame. The key is at most MaxKey bytes
// long, and the body stays below MaxBody: the caller sees to both. Hash, high half
// first, may be nil.
//
//	0     4        8     10      11   12
//	| crc | length | key | flags | 0  | hash (16, if flags & 1) | key | data |
//
// length is that of the data, key that of the key; crc is the CRC-32C of all that
// follows it.
func AppendRecord(b []byte, key string, hash *[2]uint64, data []byte) []byte {
	start := len(b)
	var h [RecordHeaderSize]byte
	le.PutUint32(h[4:], uint32(len(data)))
	le.PutUint16(h[8:], uint16(len(key)))
	if hash != nil {
		h[10] = flagHash
	}
	b = append(b, h[:]...)
	if hash != nil {
		b = le.AppendUint64(b, hash[0])
		b = le.AppendUint64(b, hash[1])
	}
	b = append(b, key...)
	b = append(b, data...)
	le.PutUint32(b[start:], crc32.Checksum(b[start+4:], castagnoli))
	return b
}

// recordSize returns the length of the record that b starts with, which may be more
// than len(b). It returns 0 when b is too short to tell.
func recordSize(b []byte) int {
	if len(b) < RecordHeaderSize {
		return 0
	}
	return RecordSize(int(le.Uint16(b[8:])), int(le.Uint32(b[4:])), b[10]&flagHash != 0)
}

// decodeRecord reads the record that takes up exactly b. It fills all but Offset and Arrived.
func decodeRecord(b []byte, r *Record) bool {
	if crc32.Checksum(b[4:], castagnoli) != le.Uint32(b) || b[10]&^flagHash != 0 || b[11] != 0 {
		return false
	}
	key, rest := int(le.Uint16(b[8:])), b[RecordHeaderSize:]
	if r.HasHash = b[10]&flagHash != 0; r.HasHash {
		r.Hash = [2]uint64{le.Uint64(rest), le.Uint64(rest[8:])}
		rest = rest[hashSize:]
	} else {
		r.Hash = [2]uint64{}
	}
	r.Key, r.Data = rest[:key:key], rest[key:]
	return true
}
