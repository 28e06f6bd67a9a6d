package point

import (
	"bytes"
	"encoding/binary"
	"sync/atomic"

	"github.com/cespare/xxhash/v2"
)

// A textTable is what a Cache holds between two beginnings. It only grows. One goroutine at a time
// adds to it, any number look up: whatever a slot leads to was written before the slot, and does
// not change.
//
// Entries stand in the order in which their texts came first, which is most often that in which
// they come again. They hold no pointers, so the garbage collector has next to nothing to look at.
type textTable struct {
	slots atomic.Pointer[[]atomic.Uint64] // hash, then offset of the entry + 1; 0 is free

	// Entries, one after the other, each within a page:
	//
	//	0     2        3   4
	//	| text | labels | 0 | labels × { name (4) | value (4) } | text |
	//
	// text is the length of the text, names and values are numbers of strings.
	pages   [][]byte
	strings []*[stringsAPage]cachedString

	full atomic.Bool

	// Owned by Cache.put. began does not change after the first entry.
	began   int64 // the minute of the first entry
	entries int
	page    int // pages in use
	end     int // of the entries on the last of them
	left    int // bytes
	numbers map[string]uint32
}

// A cachedString is a string of labels.
type cachedString struct {
	text []byte
	hash uint64
	kind uint8 // what it may be used as
}

const (
	textPage     = 64 << 10
	stringsAPage = 512
	entryHead    = 4
	stringBytes  = 32 + 48 // of a cachedString and of its number, about
	firstSlots   = 1 << 10
)

func newTextTable(limit int) *textTable {
	t := &textTable{
		left: limit, end: textPage, numbers: map[string]uint32{},
		pages:   make([][]byte, limit/textPage+1),
		strings: make([]*[stringsAPage]cachedString, limit/stringBytes/stringsAPage+1),
	}
	slots := make([]atomic.Uint64, firstSlots)
	t.slots.Store(&slots)
	return t
}

// takes reports whether an entry may be added, or t be replaced for it.
func (t *textTable) takes(minute int64) bool {
	if !t.full.Load() {
		return true
	}
	age := minute - t.began
	return age > cacheMinutes || age < -cacheMinutes // the clock was set back
}

// find returns the entry of a text, with what follows it, or nil.
func (t *textTable) find(hash uint32, text []byte) []byte {
	slots := *t.slots.Load()
	mask := uint32(len(slots) - 1)
	for i := hash; ; i++ {
		slot := slots[i&mask].Load()
		if slot == 0 {
			return nil
		}
		if uint32(slot>>32) != hash {
			continue
		}
		at := uint32(slot) - 1
		if e := t.pages[at/textPage][at%textPage:]; string(entryText(e)) == string(text) {
			return e
		}
	}
}

// entryLabels returns how many labels an entry has.
func entryLabels(e []byte) int { return int(e[2]) }

// entryText returns the text of an entry.
func entryText(e []byte) []byte {
	from := entryHead + 8*entryLabels(e)
	return e[from : from+int(binary.LittleEndian.Uint16(e))]
}

// entryStrings returns the numbers of names and values, four bytes each.
func entryStrings(e []byte) []byte { return e[entryHead : entryHead+8*entryLabels(e)] }

// string returns the string with a number.
func (t *textTable) string(id uint32) *cachedString {
	return &t.strings[id/stringsAPage][id%stringsAPage]
}

// appendLabels appends the labels of an entry.
func (t *textTable) appendLabels(labels []LabelView, e []byte) []LabelView {
	for ids := entryStrings(e); len(ids) > 0; ids = ids[8:] {
		name, value := binary.LittleEndian.Uint32(ids), binary.LittleEndian.Uint32(ids[4:])
		labels = append(labels, LabelView{t.string(name).text, t.string(value).text})
	}
	return labels
}

// add adds an entry, or finds that t is full.
func (t *textTable) add(hash uint32, text []byte, labels []LabelView) {
	size := entryHead + 8*len(labels) + len(text)
	if !t.reserve(size, labels) {
		t.full.Store(true)
		return
	}
	at := (t.page-1)*textPage + t.end
	e := t.pages[t.page-1][t.end:]
	t.end += size
	binary.LittleEndian.PutUint16(e, uint16(len(text)))
	e[2] = uint8(len(labels))
	ids := entryStrings(e)
	for i, l := range labels {
		binary.LittleEndian.PutUint32(ids[8*i:], t.number(l.Name))
		binary.LittleEndian.PutUint32(ids[8*i+4:], t.number(l.Value))
	}
	copy(entryText(e), text)
	t.entries++
	setSlot(*t.slots.Load(), uint64(hash)<<32|uint64(at+1))
}

// reserve makes room for an entry of size bytes with these labels, if there is some.
func (t *textTable) reserve(size int, labels []LabelView) bool {
	need := 0
	for _, l := range labels { // at most: most of the strings are there
		need += 2 * (stringBytes + len(l.Name) + len(l.Value))
	}
	slots := *t.slots.Load()
	turn, grow := t.end+size > textPage, 4*(t.entries+1) > 3*len(slots)
	if turn {
		need += textPage
	}
	if grow {
		need += 8 * len(slots)
	}
	if need > t.left {
		return false
	}
	if turn {
		t.pages[t.page] = make([]byte, textPage)
		t.page, t.end = t.page+1, 0
		t.left -= textPage
	}
	if grow {
		greater := make([]atomic.Uint64, 2*len(slots))
		for i := range slots {
			if slot := slots[i].Load(); slot != 0 {
				setSlot(greater, slot)
			}
		}
		t.slots.Store(&greater)
		t.left -= 8 * len(slots)
	}
	return true
}

// setSlot puts a slot where the search for its hash finds it.
func setSlot(slots []atomic.Uint64, slot uint64) {
	mask := uint32(len(slots) - 1)
	i := uint32(slot >> 32)
	for slots[i&mask].Load() != 0 {
		i++
	}
	slots[i&mask].Store(slot)
}

// number returns the number of a string, new or not.
func (t *textTable) number(s []byte) uint32 {
	if id, ok := t.numbers[string(s)]; ok {
		return id
	}
	id := uint32(len(t.numbers))
	if t.strings[id/stringsAPage] == nil {
		t.strings[id/stringsAPage] = new([stringsAPage]cachedString)
	}
	*t.string(id) = cachedString{text: bytes.Clone(s), hash: xxhash.Sum64(s), kind: kindOf(s)}
	t.numbers[string(s)] = id
	t.left -= stringBytes + 2*len(s)
	return id
}
