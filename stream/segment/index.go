package segment

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"sort"

	"freshet/stream/vfs"
)

// indexEvery is the least distance in bytes between two marks of an index.
const indexEvery = 256 << 10

// A Mark says where a frame begins.
type Mark struct {
	First    uint64 // offset of the frame's first record
	Position int64
	Arrived  int64 // epoch milliseconds
}

// An Index lists some of the frames of a file, the first among them. It grows only at
// its end, so that a copy of the slice stays true while its owner appends.
type Index []Mark

func (x Index) add(f frame) Index {
	if n := len(x); n > 0 && f.position-x[n-1].Position < indexEvery {
		return x
	}
	return append(x, Mark{f.first, f.position, f.arrived})
}

// Before returns the last listed frame that starts at or below the offset.
func (x Index) Before(offset uint64) Mark {
	i := sort.Search(len(x), func(i int) bool { return x[i].First > offset })
	if i == 0 {
		return Mark{Position: HeaderSize}
	}
	return x[i-1]
}

// BeforeTime returns the last listed frame that arrived before the time, or the first.
func (x Index) BeforeTime(ms int64) Mark {
	i := sort.Search(len(x), func(i int) bool { return x[i].Arrived >= ms })
	if i == 0 {
		return Mark{Position: HeaderSize}
	}
	return x[i-1]
}

// Info is what is known of a file without reading its records.
type Info struct {
	Header
	End          uint64 // offset after the last record
	Size         int64  // bytes that hold frames, the header (and the key) included
	FirstArrived int64  // epoch milliseconds; 0 when there is no record
	LastArrived  int64
	Index        Index
}

func (i *Info) add(f frame) {
	if i.End == i.Base {
		i.FirstArrived = f.arrived
	}
	i.End, i.LastArrived = f.first+uint64(f.count), f.arrived
	i.Index = i.Index.add(f)
}

// The body of the footer frame, and the trailer, with which a sealed file ends:
//
//	0     8               16             24      28  32
//	| end | first arrived | last arrived | marks | 0 | marks × (first, position, arrived) |
//	| magic | salt | position of the footer | 0 (4) | crc |
const footerFixed, markSize = 32, 24

func (i *Info) footer() []byte {
	b := make([]byte, FrameHeaderSize, FrameHeaderSize+footerFixed+markSize*len(i.Index)+trailerSize)
	b = le.AppendUint64(b, i.End)
	b = le.AppendUint64(b, uint64(i.FirstArrived))
	b = le.AppendUint64(b, uint64(i.LastArrived))
	b = le.AppendUint32(b, uint32(len(i.Index)))
	b = le.AppendUint32(b, 0)
	for _, m := range i.Index {
		b = le.AppendUint64(b, m.First)
		b = le.AppendUint64(b, uint64(m.Position))
		b = le.AppendUint64(b, uint64(m.Arrived))
	}
	f := frame{
		position: i.Size, synced: i.Size, first: i.End, arrived: i.LastArrived, kind: kindFooter,
		length: len(b) - FrameHeaderSize, body: crc32.Checksum(b[FrameHeaderSize:], castagnoli),
	}
	f.encode(b, i.Salt)
	trailer := len(b)
	b = append(b, trailerMagic...)
	b = le.AppendUint64(b, i.Salt)
	b = le.AppendUint64(b, uint64(i.Size))
	b = le.AppendUint32(b, 0)
	return le.AppendUint32(b, crc32.Checksum(b[trailer:], castagnoli))
}

// ReadHeader reads the header of a file. The error is a *CorruptError when the bytes are
// not a header.
func ReadHeader(f vfs.File) (Header, error) {
	b := make([]byte, HeaderSize)
	n, err := f.ReadAt(b, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return Header{}, fmt.Errorf("read header: %w", err)
	}
	return decodeHeader(b[:n])
}

// ReadSealed reads the header and the footer of a file. The error is a *CorruptError
// when the file is not a sealed segment from end to end; the records are not looked at.
func ReadSealed(f vfs.File) (Info, error) {
	h, err := ReadHeader(f)
	if err != nil {
		return Info{Header: h}, err
	}
	size, err := f.Size()
	if err != nil {
		return Info{Header: h}, fmt.Errorf("size: %w", err)
	}
	info := Info{Header: h, End: h.Base, Size: h.start()}
	if size < h.start()+FrameHeaderSize+footerFixed+trailerSize {
		return info, corrupt(size, "the file ends without a footer")
	}
	t := make([]byte, trailerSize)
	if _, err := f.ReadAt(t, size-trailerSize); err != nil {
		return info, fmt.Errorf("read trailer: %w", err)
	}
	at := int64(le.Uint64(t[16:]))
	if string(t[:8]) != trailerMagic || le.Uint64(t[8:]) != h.Salt || crc32.Checksum(t[:28], castagnoli) != le.Uint32(t[28:]) ||
		at < h.start() || at > size-trailerSize-FrameHeaderSize-footerFixed {
		return info, corrupt(size-trailerSize, "the file does not end as a sealed segment does")
	}
	b := make([]byte, size-trailerSize-at)
	if _, err := f.ReadAt(b, at); err != nil {
		return info, fmt.Errorf("read footer: %w", err)
	}
	return info, info.readFooter(b, at)
}

func (i *Info) readFooter(b []byte, at int64) error {
	f, err := decodeFrame(b, i.Salt, at)
	if err != nil {
		return err
	}
	b = b[FrameHeaderSize:]
	if f.kind != kindFooter || f.length != len(b) || crc32.Checksum(b, castagnoli) != f.body {
		return corrupt(at, "the footer is not what was written")
	}
	marks := int(le.Uint32(b[24:]))
	if len(b) != footerFixed+marks*markSize {
		return corrupt(at, "the footer has %d bytes for %d marks", len(b), marks)
	}
	i.Size, i.End = at, le.Uint64(b)
	i.FirstArrived, i.LastArrived = int64(le.Uint64(b[8:])), int64(le.Uint64(b[16:]))
	i.Index = make(Index, marks)
	for n, b := 0, b[footerFixed:]; n < marks; n, b = n+1, b[markSize:] {
		i.Index[n] = Mark{le.Uint64(b), int64(le.Uint64(b[8:])), int64(le.Uint64(b[16:]))}
	}
	return nil
}
