/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A program that does nothing, linked statically: what the floor of every figure starts, and the service that the
 * measured calls call.
 */
int main(void) {
        return 0;
}
