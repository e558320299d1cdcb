" SPDX-License-Identifier: Apache-2.0
autocmd BufRead,BufNewFile *.policy,*/qubes/policy.d/include/*,*/qubes-rpc/policy/* setfiletype qubes-policy
autocmd FileType qubes-policy setlocal commentstring=#\ %s
