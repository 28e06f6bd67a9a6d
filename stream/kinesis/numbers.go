package kinesis

import "freshet/stream"

// numbers writes the sequence numbers of records that follow each other in a shard and
// arrived in the same second.
//
// The offset takes up the bits from 80 on of a sequence number and stays below 2^63, so
// that it never reaches into those above; all other bits stay. The next number is
// therefore this one plus 2^80 = 1 20892581 96146291 74706176. The number is kept in
// seven parts of eight decimal digits, and a step writes the parts that change: four,
// and those that a carry reaches.
type numbers struct {
	next  stream.SequenceNumber
	parts [7]uint32 // the least first
	text  [8 * 7]byte
	valid bool
}

const partSize = 100_000_000

// of returns the digits of a number. They are valid until the next call.
func (n *numbers) of(q stream.SequenceNumber) []byte {
	if n.valid && q == n.next {
		n.step()
	} else {
		n.start(q)
	}
	n.next = q
	n.next.Offset++
	return n.text[:]
}

func (n *numbers) start(q stream.SequenceNumber) {
	q.AppendTo(n.text[:0])
	for i := range n.parts {
		v := uint32(0)
		for _, c := range n.text[8*(6-i) : 8*(7-i)] {
			v = v*10 + uint32(c-'0')
		}
		n.parts[i] = v
	}
	n.valid = true
}

func (n *numbers) step() {
	carry := uint32(0)
	for i, add := range [7]uint32{74706176, 96146291, 20892581, 1} {
		if i > 3 && carry == 0 {
			return
		}
		v := n.parts[i] + add + carry
		carry = 0
		if v >= partSize {
			v -= partSize
			carry = 1
		}
		n.parts[i] = v
		put8(n.text[8*(6-i):8*(7-i)], v)
	}
}

const pairs = "00010203040506070809" + "10111213141516171819" + "20212223242526272829" + "30313233343536373839" + "40414243444546474849" +
	"50515253545556575859" + "60616263646566676869" + "70717273747576777879" + "80818283848586878889" + "90919293949596979899"

// put8 writes a number below 10^8 as eight digits.
func put8(b []byte, v uint32) {
	_ = b[7]
	high, low := v/10000, v%10000
	for i, two := range [4]uint32{high / 100, high % 100, low / 100, low % 100} {
		b[2*i], b[2*i+1] = pairs[2*two], pairs[2*two+1]
	}
}
