package point

// Cached returns how many texts c has, and the bytes that it has taken for them.
func Cached(c *Cache) (entries, bytes int) {
	t := c.table.Load()
	return t.entries, c.limit - t.left
}
