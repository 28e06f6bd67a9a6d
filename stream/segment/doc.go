// Package segment is the bytes of the log on disk: files of frames of records.
//
// It holds the encoding, which FORMAT.md draws, and the three ways to a file: [Writer]
// appends to the tail of a shard, [Recover] reads a tail after a crash, [Cursor] reads
// records in order. A file may be encrypted under a [Key] of its own, which a keyring
// wraps. Package stream calls it and decides when to write, sync, seal and delete.
//
// After a crash a file holds every frame that was synced, and any part of the one that
// was not. Each frame says how far the file had been synced when it was written, so that
// Recover can tell a torn tail, which is cut, from damage, which is reported. An encrypted
// file takes no more records then, so that no nonce is used twice.
//
// The package starts no goroutine and takes no lock; each type says how many users it has.
package segment
