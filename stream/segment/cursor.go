package segment

import (
	"errors"
	"fmt"
	"io"
	"math"
)

// keepBuffer is how large a buffer may stay that an encrypted frame made large.
const keepBuffer = 4 << 20

// A Cursor reads the records of one file in order, in big pieces through a buffer that
// it keeps. Encrypted frames are in the buffer as a whole. Use it as
//
//	for c.Next(&record) { … }     // until no whole record is left in the buffer
//	more, err := c.Fill(limit, n) // the records read so far are no longer valid
//
// It has one user at a time.
type Cursor struct {
	file io.ReaderAt
	salt uint64

	key *Key // nil when the file is plain

	pos  int64 // in the file, of buf[at]
	buf  []byte
	at   int
	need int // bytes from at on that the next step wants
	tag  int // bytes behind the last record of the frame

	frame    frame // the one that pos is in; left and rest say how much is to come
	left     int   // records
	rest     int   // bytes
	next     uint64
	from     uint64 // records below are passed over
	fromTime int64  // likewise, frames that arrived before
	err      error
}

// Reset goes to a frame of a file and passes over the records below an offset.
func (c *Cursor) Reset(file io.ReaderAt, salt uint64, at Mark, from uint64) {
	*c = Cursor{file: file, salt: salt, pos: at.Position, buf: c.buf[:0], next: at.First, from: from,
		fromTime: math.MinInt64, need: FrameHeaderSize}
}

// Decrypt gives the cursor the key of an encrypted file.
func (c *Cursor) Decrypt(key *Key) { c.key = key }

// After makes the cursor pass over the frames that arrived before a time (epoch ms).
func (c *Cursor) After(ms int64) { c.fromTime = ms }

// Buffered returns the number of bytes in the buffer that are not read yet.
func (c *Cursor) Buffered() int { return len(c.buf) - c.at }

// Fill reads up to n bytes, or as many as the next record needs, from the file, of which
// limit bytes may be read. It returns false when there is nothing below the limit, and
// the *CorruptError that stopped Next, or that the file ends within a record.
func (c *Cursor) Fill(limit int64, n int) (bool, error) {
	if c.err != nil {
		return false, c.err
	}
	c.leave()
	if c.at > len(c.buf) { // a frame was passed over beyond the buffer
		c.at, c.buf = 0, c.buf[:0]
	}
	have := copy(c.buf[:cap(c.buf)], c.buf[c.at:])
	c.at, c.buf = 0, c.buf[:have]
	n = max(n, c.need)
	room := limit - c.pos - int64(have)
	if room <= 0 || n <= have {
		if room <= 0 && (have > 0 || c.left > 0) {
			c.err = corrupt(c.pos, "the frames end within a record, at byte %d", limit)
		}
		return false, c.err
	}
	n = int(min(int64(n), int64(have)+room))
	if cap(c.buf) < n || c.key != nil && n <= keepBuffer && keepBuffer < cap(c.buf) {
		c.buf = append(make([]byte, 0, n), c.buf...)
	}
	got, err := c.file.ReadAt(c.buf[have:n], c.pos+int64(have))
	c.buf = c.buf[:have+got]
	if got < n-have {
		if errors.Is(err, io.EOF) {
			c.err = corrupt(c.pos+int64(len(c.buf)), "the file ends; it had %d bytes", limit)
			return false, c.err
		}
		return false, fmt.Errorf("read at byte %d: %w", c.pos+int64(have), err)
	}
	return true, nil
}

// Next reads a record from the buffer. It returns false when the buffer holds no whole
// one, or when the bytes are damaged: Fill then returns the error.
func (c *Cursor) Next(r *Record) bool {
	for c.err == nil {
		if c.left == 0 {
			if !c.header() {
				return false
			}
			continue
		}
		if c.at > len(c.buf) {
			return false
		}
		b := c.buf[c.at:]
		n := recordSize(b)
		if n > c.rest || c.left == 1 && n != 0 && n != c.rest {
			c.err = corrupt(c.pos, "record %d does not fit into its frame", c.next)
			return false
		}
		if n == 0 || n > len(b) {
			c.need = max(n, RecordHeaderSize)
			return false
		}
		ok := decodeRecord(b[:n:n], r)
		if !ok {
			c.err = corrupt(c.pos, "record %d is not what was written", c.next)
			return false
		}
		r.Offset, r.Arrived = c.next, c.frame.arrived
		c.step(n)
		c.left--
		c.rest -= n
		c.next++
		r.Last = c.left == 0
		if r.Offset >= c.from {
			return true
		}
	}
	return false
}

// leave steps over what follows the records of an encrypted frame.
func (c *Cursor) leave() {
	if c.left == 0 {
		c.step(c.tag)
		c.tag = 0
	}
}

// header goes into the next frame of records that is not passed over.
func (c *Cursor) header() bool {
	c.leave()
	if c.at > len(c.buf) || len(c.buf)-c.at < FrameHeaderSize {
		c.need = FrameHeaderSize
		return false
	}
	f, err := decodeFrame(c.buf[c.at:], c.salt, c.pos)
	if err == nil && f.first != c.next {
		err = corrupt(c.pos, "the frame starts with record %d, not %d", f.first, c.next)
	}
	if err != nil {
		c.err = err
		return false
	}
	records := f.kind == kindRecords || f.kind == kindSealed
	if !records || f.first+uint64(f.count) <= c.from || f.arrived < c.fromTime {
		c.step(FrameHeaderSize + f.length)
		c.next = f.first + uint64(f.count)
		return true
	}
	if f.kind == kindSealed || c.key != nil {
		return c.unseal(f)
	}
	c.step(FrameHeaderSize)
	c.frame, c.left, c.rest = f, f.count, f.length
	return true
}

// unseal goes into an encrypted frame, which it decrypts in the buffer.
func (c *Cursor) unseal(f frame) bool {
	switch n := FrameHeaderSize + f.length; {
	case c.key == nil:
		c.err = errNoKey
	case f.kind != kindSealed:
		c.err = corrupt(c.pos, "the frame is not encrypted; the file is")
	case len(c.buf)-c.at < n:
		c.need = n
	default:
		b := c.buf[c.at:][:n]
		body := b[FrameHeaderSize:]
		plain, err := c.key.open(body[:0], b, f)
		if err != nil {
			c.err = err
			return false
		}
		c.step(FrameHeaderSize)
		c.frame, c.left, c.rest, c.tag = f, f.count, len(plain), Overhead
		return true
	}
	return false
}

func (c *Cursor) step(n int) {
	c.at += n
	c.pos += int64(n)
}
