/* The whole of main: cli decides. */
int main(void) { return 0; }
