// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// Stands for delegate.xyz's registry, version 2: the same functions and tuples as far as StreamGate and its tests use
/// them, in code of our own. A vault lets another wallet act for it, for everything or for a part. It has no constructor,
/// so that its runtime code can be placed at the registry's one address.
contract Delegations {
    enum DelegationType {
        NONE,
        ALL,
        CONTRACT,
        ERC721,
        ERC20,
        ERC1155
    }

    struct Delegation {
        DelegationType type_;
        address to;
        address from;
        bytes32 rights;
        address contract_;
        uint256 tokenId;
        uint256 amount;
    }

    mapping(address to => bytes32[]) private incoming;
    mapping(bytes32 key => Delegation) private byKey;
    mapping(bytes32 key => bool) private listed;

    function delegateAll(address to, bytes32 rights, bool enable) external payable returns (bytes32) {
        return _set(Delegation(DelegationType.ALL, to, msg.sender, rights, address(0), 0, 0), enable);
    }

    function delegateContract(address to, address contract_, bytes32 rights, bool enable)
        external
        payable
        returns (bytes32)
    {
        return _set(Delegation(DelegationType.CONTRACT, to, msg.sender, rights, contract_, 0, 0), enable);
    }

    function delegateERC721(address to, address contract_, uint256 tokenId, bytes32 rights, bool enable)
        external
        payable
        returns (bytes32)
    {
        return _set(Delegation(DelegationType.ERC721, to, msg.sender, rights, contract_, tokenId, 0), enable);
    }

    /// An amount of 0 takes the delegation back.
    function delegateERC20(address to, address contract_, bytes32 rights, uint256 amount)
        external
        payable
        returns (bytes32)
    {
        return _set(Delegation(DelegationType.ERC20, to, msg.sender, rights, contract_, 0, amount), amount > 0);
    }

    /// An amount of 0 takes the delegation back.
    function delegateERC1155(address to, address contract_, uint256 tokenId, bytes32 rights, uint256 amount)
        external
        payable
        returns (bytes32)
    {
        return _set(Delegation(DelegationType.ERC1155, to, msg.sender, rights, contract_, tokenId, amount), amount > 0);
    }

    /// What is delegated to a wallet now, oldest first.
    function getIncomingDelegations(address to) external view returns (Delegation[] memory delegations_) {
        bytes32[] storage keys = incoming[to];
        uint256 count;
        for (uint256 i = 0; i < keys.length; i++) {
            if (byKey[keys[i]].type_ != DelegationType.NONE) count++;
        }
        delegations_ = new Delegation[](count);
        uint256 next;
        for (uint256 i = 0; i < keys.length; i++) {
            if (byKey[keys[i]].type_ != DelegationType.NONE) delegations_[next++] = byKey[keys[i]];
        }
    }

    /// The key is ours: the real registry packs its hashes otherwise, and nothing here reads by hash.
    function _set(Delegation memory delegation, bool enable) private returns (bytes32 key) {
        key = keccak256(
            abi.encode(
                delegation.type_,
                delegation.to,
                delegation.from,
                delegation.rights,
                delegation.contract_,
                delegation.tokenId
            )
        );
        if (!listed[key]) {
            listed[key] = true;
            incoming[delegation.to].push(key);
        }
        if (!enable) delegation.type_ = DelegationType.NONE;
        byKey[key] = delegation;
    }
}
