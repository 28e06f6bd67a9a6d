package point

// A table maps hashes to small numbers by open addressing. The keys stay with the owner,
// who compares them.
type table struct {
	slots []uint32 // number + 1; 0 is free
	shift uint8    // 64 - log2(len(slots))
}

// full reports whether one more than n numbers would make the table slow.
func (t *table) full(n int) bool { return 4*(n+1) > 3*len(t.slots) }

// slot is where the search for h begins.
func (t *table) slot(h uint64) uint32 { return uint32(h >> t.shift) }

// next is where it goes on.
func (t *table) next(slot uint32) uint32 { return (slot + 1) & uint32(len(t.slots)-1) }

// at returns the number in a slot, if there is one.
func (t *table) at(slot uint32) (uint32, bool) {
	n := t.slots[slot]
	return n - 1, n != 0
}

// set puts a number into a slot.
func (t *table) set(slot, n uint32) { t.slots[slot] = n + 1 }

// grow doubles the table and fills it again with the numbers of hashes.
func (t *table) grow(hashes []uint64) {
	t.growFunc(len(hashes), func(i int) uint64 { return hashes[i] })
}

func (t *table) growFunc(n int, hash func(int) uint64) {
	if len(t.slots) == 0 {
		t.slots, t.shift = make([]uint32, 64), 64-6
	} else {
		t.slots, t.shift = make([]uint32, 2*len(t.slots)), t.shift-1
	}
	for i := range n {
		slot := t.slot(hash(i))
		for t.slots[slot] != 0 {
			slot = t.next(slot)
		}
		t.set(slot, uint32(i))
	}
}

// clear empties the table and keeps its memory.
func (t *table) clear() { clear(t.slots) }
