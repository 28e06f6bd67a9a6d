package segment

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"
)

const (
	// Version is that of a plain file, VersionEncrypted that of an encrypted one. No other is read.
	Version          = 1
	VersionEncrypted = 2
	// HeaderSize is the length of a file's header: no frame starts below it.
	HeaderSize = 64
	// FrameHeaderSize is what a caller leaves free before the records of a frame.
	FrameHeaderSize = 64
	// Overhead is what a caller had better leave free behind the records of a frame: an
	// encrypted body is that much longer, and is copied where there is no room.
	Overhead = 16
	// RecordHeaderSize is what a record takes beside its key and data (16 more with a hash).
	RecordHeaderSize = 12
	// MaxBody bounds the body of one frame, in bytes.
	MaxBody = 64 << 20
	// MaxKey bounds the key of a record, in bytes.
	MaxKey = math.MaxUint16

	headerMagic  = "freshseg"
	trailerMagic = "freshend"
	trailerSize  = 32
	hashSize     = 16

	kindRecords = 1
	kindMark    = 2
	kindFooter  = 3
	kindKey     = 4
	kindSealed  = 5 // records, encrypted

	flagHash = 1
)

var (
	le         = binary.LittleEndian
	castagnoli = crc32.MakeTable(crc32.Castagnoli) // the tables with hardware support
)

// CorruptError says where a file holds what no writer put there, below the point up to
// which it had been synced: bytes that were safe are damaged or gone.
type CorruptError struct {
	Position int64 // in the file, of the first thing that cannot be read
	Reason   string
}

func (e *CorruptError) Error() string {
	return fmt.Sprintf("damaged at byte %d: %s", e.Position, e.Reason)
}

func corrupt(at int64, format string, args ...any) *CorruptError {
	return &CorruptError{at, fmt.Sprintf(format, args...)}
}

// Header is the start of every segment file.
//
//	0        8        12       16       24       32       40       48         56   60
//	| magic  | version| shard  | salt   | stream | created| base   | started  | 0  | crc |
//
// crc is the CRC-32C of the 60 bytes before it. Salt is random, differs in every file
// and stands in front of each frame, where no stored record can have put it.
type Header struct {
	Salt    uint64
	Stream  uint64 // the number of the stream
	Shard   uint32
	Created int64  // of the shard, epoch seconds
	Base    uint64 // offset of the first record of the file
	Started int64  // when the file was made, epoch milliseconds

	Encrypted bool // the version says so
}

func (h Header) version() uint32 {
	if h.Encrypted {
		return VersionEncrypted
	}
	return Version
}

// start is where the first frame begins that is no part of how the file was made.
func (h Header) start() int64 {
	if h.Encrypted {
		return HeaderSize + keyFrameSize
	}
	return HeaderSize
}

func (h Header) encode() []byte {
	b := make([]byte, HeaderSize)
	copy(b, headerMagic)
	le.PutUint32(b[8:], h.version())
	le.PutUint32(b[12:], h.Shard)
	le.PutUint64(b[16:], h.Salt)
	le.PutUint64(b[24:], h.Stream)
	le.PutUint64(b[32:], uint64(h.Created))
	le.PutUint64(b[40:], h.Base)
	le.PutUint64(b[48:], uint64(h.Started))
	le.PutUint32(b[60:], crc32.Checksum(b[:60], castagnoli))
	return b
}

func decodeHeader(b []byte) (Header, error) {
	if len(b) < HeaderSize {
		return Header{}, corrupt(0, "the header has %d bytes, not %d", len(b), HeaderSize)
	}
	if string(b[:8]) != headerMagic {
		return Header{}, corrupt(0, "no segment starts with % x", b[:8])
	}
	if got, want := crc32.Checksum(b[:60], castagnoli), le.Uint32(b[60:]); got != want {
		return Header{}, corrupt(0, "the header has CRC %08x, not %08x", got, want)
	}
	v := le.Uint32(b[8:])
	if v != Version && v != VersionEncrypted {
		return Header{}, fmt.Errorf("the segment has version %d; this program reads %d and %d", v, Version, VersionEncrypted)
	}
	return Header{
		Shard: le.Uint32(b[12:]), Salt: le.Uint64(b[16:]), Stream: le.Uint64(b[24:]),
		Created: int64(le.Uint64(b[32:])), Base: le.Uint64(b[40:]), Started: int64(le.Uint64(b[48:])),
		Encrypted: v == VersionEncrypted,
	}, nil
}

// frame is the header of a frame.
//
//	0      8          16       24      32        40       44      48     52        56  60
//	| salt | position | synced | first | arrived | length | count | kind | bodycrc | 0 | crc |
//
// crc is the CRC-32C of the 60 bytes before it, bodycrc that of the length bytes after it.
type frame struct {
	position int64  // of the frame in its file
	synced   int64  // the file was known to be synced below this when the frame was written
	first    uint64 // offset of the first record
	arrived  int64  // epoch milliseconds, never falling
	length   int    // bytes of the body
	count    int    // records
	kind     uint32
	body     uint32 // CRC-32C of the body
}

func (f frame) encode(b []byte, salt uint64) {
	_ = b[FrameHeaderSize-1]
	le.PutUint64(b, salt)
	le.PutUint64(b[8:], uint64(f.position))
	le.PutUint64(b[16:], uint64(f.synced))
	le.PutUint64(b[24:], f.first)
	le.PutUint64(b[32:], uint64(f.arrived))
	le.PutUint32(b[40:], uint32(f.length))
	le.PutUint32(b[44:], uint32(f.count))
	le.PutUint32(b[48:], f.kind)
	le.PutUint32(b[52:], f.body)
	le.PutUint32(b[56:], 0)
	le.PutUint32(b[60:], crc32.Checksum(b[:60], castagnoli))
}

// decodeFrame reads the header at a position. It does not look at the body.
func decodeFrame(b []byte, salt uint64, at int64) (frame, error) {
	if len(b) < FrameHeaderSize {
		return frame{}, corrupt(at, "%d bytes are too few for a frame", len(b))
	}
	if got := le.Uint64(b); got != salt {
		return frame{}, corrupt(at, "no frame of this file starts with % x", b[:8])
	}
	if got, want := crc32.Checksum(b[:60], castagnoli), le.Uint32(b[60:]); got != want {
		return frame{}, corrupt(at, "the frame's header has CRC %08x, not %08x", got, want)
	}
	f := frame{
		position: int64(le.Uint64(b[8:])), synced: int64(le.Uint64(b[16:])),
		first: le.Uint64(b[24:]), arrived: int64(le.Uint64(b[32:])),
		length: int(le.Uint32(b[40:])), count: int(le.Uint32(b[44:])),
		kind: le.Uint32(b[48:]), body: le.Uint32(b[52:]),
	}
	switch {
	case f.position != at:
		return frame{}, corrupt(at, "the frame belongs at byte %d", f.position)
	case f.synced > at || f.synced < HeaderSize:
		return frame{}, corrupt(at, "the frame says that %d bytes were synced before it", f.synced)
	case f.length > MaxBody:
		return frame{}, corrupt(at, "the frame has %d bytes, more than %d", f.length, MaxBody)
	case f.kind < kindRecords || f.kind > kindSealed:
		return frame{}, corrupt(at, "no frame is of kind %d", f.kind)
	case f.kind == kindKey && at != HeaderSize:
		return frame{}, corrupt(at, "a key does not stand behind the header")
	case f.kind == kindRecords && (f.count == 0 || f.length < f.count*RecordHeaderSize),
		f.kind == kindSealed && (f.count == 0 || f.length-Overhead < f.count*RecordHeaderSize),
		f.kind == kindMark && (f.count != 0 || f.length != 0),
		f.kind == kindFooter && f.count != 0,
		f.kind == kindKey && (f.count != 0 || f.length != keyBodySize):
		return frame{}, corrupt(at, "a frame of kind %d has %d records in %d bytes", f.kind, f.count, f.length)
	}
	return f, nil
}
