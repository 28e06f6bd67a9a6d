// Package keyring holds the keys that wrap the data keys of encrypted segments.
//
// A [Ring] is made from a key file ([Read]) or from an environment secret ([Parse]); cmd
// makes it, package stream hands it to package segment. A data key encrypts one file and
// stands in it, wrapped; the keys of the ring are never written anywhere.
//
// # Key files
//
// One key a line, 32 bytes in base64 (44 characters, or 43 without the =; both alphabets)
// or hex (64). What follows a # is a comment, empty lines are passed over, and a comma
// ends a line, so that an environment variable can hold several keys. The first key is the
// current one: it wraps the data keys of new files. All of them can unwrap, so a key is
// changed like this: put a new line on top and start again; take the old line out when
// the last file that needs it is past its retention.
//
//	head -c 32 /dev/urandom | base64
//
// makes a key. A passphrase is not one: nothing here stretches it.
//
// # After a crash
//
// A ring does not change and is nowhere on disk, so there is nothing to recover. Without
// the key that its data key is wrapped with, a file cannot be read by anybody.
//
// The package starts no goroutine; a Ring may be used by several at once.
package keyring
