package segment

// CreateEncryptedFrom is CreateEncrypted with a source of chance, for the golden file.
var CreateEncryptedFrom = createEncrypted
