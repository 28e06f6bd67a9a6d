package point

import (
	"bytes"
	"hash/maphash"
	"sync"
	"sync/atomic"
)

// A Cache remembers the labels of points as they were written in JSON, from brace to brace:
// the labels of a point whose text it has are not read, checked, put in order and hashed again.
// It changes nothing of what is accepted, and nothing of what is stored.
//
// It may be used by several goroutines at once, and holds a bounded number of bytes. Once it is
// full it keeps what it has for a minute or two; what comes then and is not in it costs little
// more than without a Cache. After that it begins anew, and drops everything at once.
type Cache struct {
	seed  maphash.Seed
	limit int
	table atomic.Pointer[textTable]

	filling sync.Mutex // who finds it held does not wait, and puts nothing in
}

const (
	// maxCachedText is how long the text of labels may be that a Cache keeps, in bytes.
	maxCachedText = 2 << 10

	// A full Cache begins anew in the second minute after the one in which it began.
	cacheMinutes = 1
)

// NewCache returns a Cache of at most limit bytes. It starts nothing.
func NewCache(limit int) *Cache {
	c := &Cache{seed: maphash.MakeSeed(), limit: limit}
	c.table.Store(newTextTable(limit))
	return c
}

// hash returns the hash of a text.
func (c *Cache) hash(text []byte) uint32 { return uint32(maphash.Bytes(c.seed, text)) }

// put remembers that text stands for labels, which are in order and have passed Check. now is in
// epoch milliseconds.
func (c *Cache) put(hash uint32, text []byte, labels []LabelView, now int64) {
	minute := now / 60_000
	if !c.table.Load().takes(minute) || !c.filling.TryLock() {
		return
	}
	defer c.filling.Unlock()
	t := c.table.Load()
	if !t.takes(minute) {
		return
	}
	if t.full.Load() {
		t = newTextTable(c.limit)
		c.table.Store(t)
	}
	if t.entries == 0 {
		t.began = minute
	}
	if t.find(hash, text) == nil {
		t.add(hash, text, labels)
	}
}

// cachedLabels are the labels of a point as a Scanner met them.
type cachedLabels struct {
	cache *Cache
	table *textTable
	now   int64 // epoch milliseconds

	entry []byte // what the text stands for, if the table has it; View.Labels is then empty
	text  []byte // else the text, if it may be put there
	hash  uint32
}

// reset gets ready for a body.
func (l *cachedLabels) reset(now int64) {
	*l = cachedLabels{cache: l.cache, now: now}
	if l.cache != nil {
		l.table = l.cache.table.Load()
	}
}

// find looks for labels that rest begins with, and returns the length of their text, 0 if there
// are none. Where an object ends depends on nothing but its text, so what begins with a text that
// was read before ends with it.
func (l *cachedLabels) find(rest []byte) int {
	n := bytes.IndexByte(rest[:min(len(rest), maxCachedText)], '}') + 1 // most often the end
	if n == 0 {
		return 0
	}
	l.text, l.hash = rest[:n], l.cache.hash(rest[:n])
	if l.entry = l.table.find(l.hash, l.text); l.entry == nil {
		return 0
	}
	return n
}

// read notes the text of labels that were not found. Nothing is wrong with it so far.
func (l *cachedLabels) read(text []byte) {
	if len(text) > maxCachedText {
		l.text = nil
		return
	}
	if len(text) != len(l.text) {
		l.hash = l.cache.hash(text)
	}
	l.text = text
}

// passed tells the Cache, if there is one, that labels have passed Check.
func (l *cachedLabels) passed(labels []LabelView) {
	if l != nil && l.entry == nil && l.text != nil {
		l.cache.put(l.hash, l.text, labels, l.now)
	}
}
