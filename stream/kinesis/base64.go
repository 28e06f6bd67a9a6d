package kinesis

import "encoding/binary"

// A base64Table has, for each of the four places in a group, what a character means as a
// part of the group's 24 bits. Characters that mean nothing have a bit above those set.
type base64Table [4][256]uint32

const notBase64 = 1 << 24

func newBase64Table() *base64Table {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	t := &base64Table{}
	for place := range t {
		for c := range t[place] {
			t[place][c] = notBase64
		}
		for i := range len(alphabet) {
			t[place][alphabet[i]] = uint32(i) << (18 - 6*place)
		}
	}
	return t
}

// decode decodes text that is padded, canonical and without line breaks, as
// base64.StdEncoding.Strict does, in half the time. dst has len(text)/4*3 bytes.
func (t *base64Table) decode(dst, text []byte) (n int, ok bool) {
	if len(text) == 0 {
		return 0, true
	}
	if len(text)%4 != 0 || len(dst) < len(text)/4*3 {
		return 0, false
	}
	bad := uint32(0)
	// Two groups a step, while the eight bytes that are written fit.
	for len(text) > 8 && len(dst)-n >= 8 {
		x := binary.LittleEndian.Uint64(text)
		a := t[0][byte(x)] | t[1][byte(x>>8)] | t[2][byte(x>>16)] | t[3][byte(x>>24)]
		b := t[0][byte(x>>32)] | t[1][byte(x>>40)] | t[2][byte(x>>48)] | t[3][byte(x>>56)]
		bad |= a | b
		binary.BigEndian.PutUint64(dst[n:], uint64(a)<<40|uint64(b)<<16)
		n += 6
		text = text[8:]
	}
	for ; len(text) > 4; text = text[4:] {
		a := t.group(text)
		bad |= a
		dst[n], dst[n+1], dst[n+2] = byte(a>>16), byte(a>>8), byte(a)
		n += 3
	}
	if bad >= notBase64 {
		return 0, false
	}
	m, ok := t.last(dst[n:], text)
	return n + m, ok
}

func (t *base64Table) group(text []byte) uint32 {
	_ = text[3]
	return t[0][text[0]] | t[1][text[1]] | t[2][text[2]] | t[3][text[3]]
}

// last decodes the group that may be padded. The bits that padding cuts off have to be
// zero.
func (t *base64Table) last(dst, text []byte) (int, bool) {
	n, filled := 3, [4]byte(text)
	for i := 3; i > 1 && filled[i] == '='; i-- {
		filled[i] = 'A'
		n--
	}
	a := t.group(filled[:])
	if a >= notBase64 || a<<(8*n)&(notBase64-1) != 0 {
		return 0, false
	}
	for i := range n {
		dst[i] = byte(a >> (16 - 8*i))
	}
	return n, true
}
