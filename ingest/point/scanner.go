package point

import (
	"bytes"
	"fmt"
	"io"
)

// A Scanner reads points from JSON: one object, an array of them, or objects one after
// the other (NDJSON, or with any other white space between them). It allocates nothing for
// a point that is well-formed. The zero Scanner reads nothing; call Reset.
//
// The dialect is RFC 8259, with these rules where it leaves a choice: names are exact, a
// field that is there twice or that no point has is an error, null stands for a field that
// is not there, text must be valid Unicode, numbers are rounded to the nearest float64.
type Scanner struct {
	buf   []byte
	at    int
	now   int64 // epoch milliseconds; the time of points that have none
	mode  scanMode
	array bool // the body is an array
	index int  // of the point read last

	start   int    // where the point began
	wrong   *Error // the first thing wrong with the point, if the JSON is right
	broken  *SyntaxError
	scratch []byte       // strings of the point that had escapes
	from    cachedLabels // of the point
	line    int          // lines before counted
	counted int          // bytes whose line ends are in line
}

type scanMode uint8

const (
	atStart scanMode = iota
	inSequence
	inArray
	atEnd
)

// A SyntaxError says why the rest of a body cannot be read.
type SyntaxError struct {
	Offset int // in bytes from 0
	Line   int // of the beginning of the point, from 1
	Reason string
}

// Error names place and reason.
func (e *SyntaxError) Error() string {
	return fmt.Sprintf("malformed JSON at byte %d (line %d): %s", e.Offset, e.Line, e.Reason)
}

// Reset makes s read body. now, in epoch milliseconds, is the time of points that say none.
func (s *Scanner) Reset(body []byte, now int64) {
	*s = Scanner{buf: bytes.TrimPrefix(body, []byte("\xef\xbb\xbf")), now: now, index: -1, scratch: s.scratch[:0], from: s.from}
	s.from.reset(now)
}

// Use makes s, from the next Reset on, look labels up in c before it reads them. The views that
// it then reads are for [Builder.Take] alone: their Labels are empty if c has them.
func (s *Scanner) Use(c *Cache) { s.from.cache = c }

// Next reads the next point into v, whose strings then alias the body, or memory of s that
// the call after this one overwrites. It does not check what [View.Check] checks.
//
// The error is io.EOF after the last point. It is an *Error when this point is not one, and
// reading goes on behind it. In NDJSON malformed text costs its line, and if it begins with a
// brace also those behind it that do not, for an object may be written over several lines.
// It is a *SyntaxError when the body is an array, and malformed: nothing of it can be trusted.
func (s *Scanner) Next(v *View) error {
	s.space()
	if s.mode == atStart {
		s.mode = inSequence
		if s.peek() == '[' {
			s.at++
			s.mode, s.array = inArray, true
			s.space()
		}
		if s.mode == inArray && s.peek() == ']' {
			s.closeArray()
		}
	}
	if s.mode == inSequence && s.at >= len(s.buf) {
		s.mode = atEnd
	}
	if s.mode == atEnd {
		if s.broken != nil {
			return s.broken
		}
		return io.EOF
	}
	s.index++
	s.start, s.wrong, s.scratch = s.at, nil, s.scratch[:0]
	s.point(v)
	if s.mode == inArray {
		s.separator()
	}
	if s.broken != nil {
		return s.recover()
	}
	if s.wrong != nil {
		return s.wrong
	}
	return nil
}

// Index returns which point of the body the last call of Next was about, from 0.
func (s *Scanner) Index() int { return s.index }

// Empty reports whether the body was empty, white space aside.
func (s *Scanner) Empty() bool { return s.mode == atEnd && s.index < 0 && !s.array }

// separator reads what follows an element of the array.
func (s *Scanner) separator() {
	if s.broken != nil {
		return
	}
	s.space()
	switch s.peek() {
	case ',':
		s.at++
	case ']':
		s.closeArray()
	default:
		s.breakOff("expected , or ] after a point, got %s", s.here())
	}
}

// closeArray reads the end of the array, behind which nothing may follow.
func (s *Scanner) closeArray() {
	s.at++
	s.space()
	if s.at < len(s.buf) {
		s.breakOff("expected nothing after the array, got %s", s.here())
	}
	s.mode = atEnd
}

// recover goes on after a syntax error, if it may.
func (s *Scanner) recover() error {
	err := s.broken
	if s.mode != inSequence {
		s.mode = atEnd
		return err
	}
	s.broken = nil
	object := s.start < len(s.buf) && s.buf[s.start] == '{' // which may go on over several lines
	for at := s.start; ; at = s.at {
		eol := bytes.IndexByte(s.buf[at:], '\n')
		if eol < 0 {
			s.at = len(s.buf)
			break
		}
		s.at = at + eol + 1
		s.space()
		if !object || s.peek() == '{' || s.at >= len(s.buf) {
			break
		}
	}
	return &Error{Field: "json", Reason: fmt.Sprintf("line %d: %s (byte %d)", err.Line, err.Reason, err.Offset)}
}

// breakOff notes a syntax error.
func (s *Scanner) breakOff(format string, args ...any) {
	if s.broken != nil {
		return
	}
	if s.counted < s.start {
		s.line += bytes.Count(s.buf[s.counted:s.start], []byte{'\n'})
		s.counted = s.start
	}
	s.broken = &SyntaxError{Offset: s.at, Line: s.line + 1, Reason: fmt.Sprintf(format, args...)}
}

// blame notes what is wrong with a point whose JSON is right.
func (s *Scanner) blame(field, format string, args ...any) {
	if s.wrong == nil {
		s.wrong = fault(field, format, args...)
	}
}

// here shows what stands at s.at.
func (s *Scanner) here() string {
	if s.at >= len(s.buf) {
		return "the end"
	}
	return quote(s.buf[s.at:min(len(s.buf), s.at+12)])
}

// peek returns the byte at s.at, or 0 at the end.
func (s *Scanner) peek() byte {
	if s.at < len(s.buf) {
		return s.buf[s.at]
	}
	return 0
}

// space skips white space.
func (s *Scanner) space() {
	if s.at >= len(s.buf) || s.buf[s.at] > ' ' {
		return
	}
	s.spaces()
}

func (s *Scanner) spaces() {
	for s.at < len(s.buf) {
		switch s.buf[s.at] {
		case ' ', '\n', '\t', '\r':
			s.at++
		default:
			return
		}
	}
}
