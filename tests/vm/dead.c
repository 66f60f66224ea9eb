/* Ends at once and well: what tests/vm/breakages puts in the place of psilogd. */
int main(void)
{
	return 0;
}
